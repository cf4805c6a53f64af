//! Reinforcement learning on tokens: rollout, advantage, loss, entropy control, trainer. A pure library that a test
//! or a notebook can drive without a session.

pub mod adamw;
pub mod advantage;
pub mod checkpointed;
pub mod entropy;
pub mod gradient;
pub mod grpo;
pub mod push;
pub mod rollout;
pub mod sampling;
pub mod trainer;
