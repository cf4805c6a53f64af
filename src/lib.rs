//! # Artune: tune autoregressive image models with reinforcement learning, live, on any GPU
//!
//! An image becomes a grid of tokens; a transformer writes the tokens one by one; we tune that transformer with
//! policy gradients. The method is *Policy-based Tuning of Autoregressive Image Models with Instance- and
//! Distribution-Level Rewards* (Baran, Kandemir, Cinbis, arXiv 2603.23086).
//!
//! ## Reading order for learners
//! 1. [`model::vq`]: a picture becomes tokens, and tokens become a picture.
//! 2. [`model::transformer`]: the network that writes the tokens.
//! 3. [`rl::rollout`]: writing a batch of pictures, one token at a time.
//! 4. [`reward`]: what each picture is paid; [`reward::loo_fid`] pays for diversity.
//! 5. [`rl::advantage`], [`rl::grpo`], [`rl::entropy`]: from payments to a gradient.
//! 6. [`rl::trainer`]: one update, from first to last.
//!
//! Layers depend downwards only: `config, platform → formats → gpu → model, data → metrics → reward → rl, pretrain →
//! session → ui | cli`. `tests/architecture.rs` keeps this true. [`formats`] reads and writes files of tensors.
#![recursion_limit = "256"]

#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod config;
pub mod data;
pub mod formats;
pub mod gpu;
pub mod metrics;
pub mod model;
pub mod platform;
pub mod pretrain;
pub mod reward;
pub mod rl;
pub mod session;
pub mod ui;
