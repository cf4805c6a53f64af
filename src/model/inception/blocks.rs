//! The five blocks of Inception-v3: each runs several chains of convolutions side by side over the same picture and puts
//! their channels one behind the other. Names are torchvision's (`torchvision/models/inception.py`).

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::conv::{BasicConv2d, Pool, halve};

/// A block: its convolutions by name, and a list of them all.
macro_rules! block {
    ($(#[$doc:meta])* $name:ident { $($conv:ident)* }) => {
        $(#[$doc])*
        #[derive(Module, Debug)]
        pub struct $name {
            $($conv: BasicConv2d,)*
        }

        impl $name {
            /// All its convolutions.
            pub fn convs(&mut self) -> Vec<&mut BasicConv2d> {
                vec![$(&mut self.$conv),*]
            }
        }
    };
}

/// `x` through one convolution after the other.
fn chain(x: &Tensor<4>, convs: &[&BasicConv2d]) -> Tensor<4> {
    convs.iter().fold(x.clone(), |x, conv| conv.forward(x))
}

block! {
    /// 35×35: 1×1, 5×5, twice 3×3, and a pool, 64 + 64 + 96 + `pool_features` channels.
    InceptionA {
        branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool
    }
}

impl InceptionA {
    /// From `from` channels, `pool_features` of them behind the pool.
    pub fn new(from: usize, pool_features: usize, device: &Device) -> Self {
        let conv = |from, to, side| BasicConv2d::new([from, to], [side, side], device).same();
        Self {
            branch1x1: conv(from, 64, 1),
            branch5x5_1: conv(from, 48, 1),
            branch5x5_2: conv(48, 64, 5),
            branch3x3dbl_1: conv(from, 64, 1),
            branch3x3dbl_2: conv(64, 96, 3),
            branch3x3dbl_3: conv(96, 96, 3),
            branch_pool: conv(from, pool_features, 1),
        }
    }

    /// `[n, from, h, w]` → `[n, 224 + pool_features, h, w]`.
    pub fn forward(&self, x: Tensor<4>, pool: Pool) -> Tensor<4> {
        let one = self.branch1x1.forward(x.clone());
        let five = chain(&x, &[&self.branch5x5_1, &self.branch5x5_2]);
        let three = chain(&x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2, &self.branch3x3dbl_3]);
        Tensor::cat(vec![one, five, three, self.branch_pool.forward_pooled(x, pool)], 1)
    }
}

block! {
    /// 35×35 → 17×17: 3×3, twice 3×3, and the picture itself, 384 + 96 + `from` channels.
    InceptionB {
        branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3
    }
}

impl InceptionB {
    /// From `from` channels.
    pub fn new(from: usize, device: &Device) -> Self {
        let conv = |from, to, side| BasicConv2d::new([from, to], [side, side], device);
        Self {
            branch3x3: conv(from, 384, 3).halving(),
            branch3x3dbl_1: conv(from, 64, 1),
            branch3x3dbl_2: conv(64, 96, 3).same(),
            branch3x3dbl_3: conv(96, 96, 3).halving(),
        }
    }

    /// `[n, from, h, w]` → `[n, 480 + from, (h - 1) / 2, (w - 1) / 2]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let three = self.branch3x3.forward(x.clone());
        let twice = chain(&x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2, &self.branch3x3dbl_3]);
        Tensor::cat(vec![three, twice, halve(x)], 1)
    }
}

block! {
    /// 17×17: 1×1, 7×7 as a row and a column, twice that, and a pool, 192 channels each.
    InceptionC {
        branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1
        branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool
    }
}

impl InceptionC {
    /// From 768 channels, with `wide` of them inside the 7×7 branches.
    pub fn new(wide: usize, device: &Device) -> Self {
        let conv = |from, to, kernel| BasicConv2d::new([from, to], kernel, device).same();
        Self {
            branch1x1: conv(768, 192, [1, 1]),
            branch7x7_1: conv(768, wide, [1, 1]),
            branch7x7_2: conv(wide, wide, [1, 7]),
            branch7x7_3: conv(wide, 192, [7, 1]),
            branch7x7dbl_1: conv(768, wide, [1, 1]),
            branch7x7dbl_2: conv(wide, wide, [7, 1]),
            branch7x7dbl_3: conv(wide, wide, [1, 7]),
            branch7x7dbl_4: conv(wide, wide, [7, 1]),
            branch7x7dbl_5: conv(wide, 192, [1, 7]),
            branch_pool: conv(768, 192, [1, 1]),
        }
    }

    /// `[n, 768, h, w]` → `[n, 768, h, w]`.
    pub fn forward(&self, x: Tensor<4>, pool: Pool) -> Tensor<4> {
        let one = self.branch1x1.forward(x.clone());
        let seven = chain(&x, &[&self.branch7x7_1, &self.branch7x7_2, &self.branch7x7_3]);
        let first = [&self.branch7x7dbl_1, &self.branch7x7dbl_2, &self.branch7x7dbl_3];
        let twice = chain(&chain(&x, &first), &[&self.branch7x7dbl_4, &self.branch7x7dbl_5]);
        Tensor::cat(vec![one, seven, twice, self.branch_pool.forward_pooled(x, pool)], 1)
    }
}

block! {
    /// 17×17 → 8×8: 3×3, 7×7 and 3×3, and the picture itself, 320 + 192 + 768 channels.
    InceptionD {
        branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4
    }
}

impl InceptionD {
    /// From 768 channels.
    pub fn new(device: &Device) -> Self {
        let conv = |from, to, kernel| BasicConv2d::new([from, to], kernel, device);
        Self {
            branch3x3_1: conv(768, 192, [1, 1]),
            branch3x3_2: conv(192, 320, [3, 3]).halving(),
            branch7x7x3_1: conv(768, 192, [1, 1]),
            branch7x7x3_2: conv(192, 192, [1, 7]).same(),
            branch7x7x3_3: conv(192, 192, [7, 1]).same(),
            branch7x7x3_4: conv(192, 192, [3, 3]).halving(),
        }
    }

    /// `[n, 768, h, w]` → `[n, 1280, (h - 1) / 2, (w - 1) / 2]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let three = chain(&x, &[&self.branch3x3_1, &self.branch3x3_2]);
        let seven = [&self.branch7x7x3_1, &self.branch7x7x3_2, &self.branch7x7x3_3, &self.branch7x7x3_4];
        Tensor::cat(vec![three, chain(&x, &seven), halve(x)], 1)
    }
}

block! {
    /// 8×8: 1×1, 3×3 as a row beside a column, 3×3 and then that, and a pool, 320 + 768 + 768 + 192 channels.
    InceptionE {
        branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1
        branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool
    }
}

impl InceptionE {
    /// From `from` channels.
    pub fn new(from: usize, device: &Device) -> Self {
        let conv = |from, to, kernel| BasicConv2d::new([from, to], kernel, device).same();
        Self {
            branch1x1: conv(from, 320, [1, 1]),
            branch3x3_1: conv(from, 384, [1, 1]),
            branch3x3_2a: conv(384, 384, [1, 3]),
            branch3x3_2b: conv(384, 384, [3, 1]),
            branch3x3dbl_1: conv(from, 448, [1, 1]),
            branch3x3dbl_2: conv(448, 384, [3, 3]),
            branch3x3dbl_3a: conv(384, 384, [1, 3]),
            branch3x3dbl_3b: conv(384, 384, [3, 1]),
            branch_pool: conv(from, 192, [1, 1]),
        }
    }

    /// `[n, from, h, w]` → `[n, 2048, h, w]`.
    pub fn forward(&self, x: Tensor<4>, pool: Pool) -> Tensor<4> {
        let three = self.branch3x3_1.forward(x.clone());
        let twice = chain(&x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2]);
        let parts = vec![
            self.branch1x1.forward(x.clone()),
            self.branch3x3_2a.forward(three.clone()),
            self.branch3x3_2b.forward(three),
            self.branch3x3dbl_3a.forward(twice.clone()),
            self.branch3x3dbl_3b.forward(twice),
            self.branch_pool.forward_pooled(x, pool),
        ];
        Tensor::cat(parts, 1)
    }
}
