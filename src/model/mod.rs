//! The networks: pure functions of their weights. Small and published models are the same modules with another
//! configuration, and every field carries the published checkpoint's own key name.

pub mod batch_norm;
pub mod bpe;
pub mod clip;
mod count;
pub mod efficientnet;
pub mod family;
pub mod feature_network;
pub mod features;
pub mod inception;
pub mod layers;
pub mod published;
pub mod resample;
pub mod rope;
pub mod transformer;
pub mod vq;
pub mod weights;
