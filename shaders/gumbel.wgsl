// Standard Gumbel noise [rows, vocab]: argmax(logits + noise) is a draw from softmax(logits).
//
// The noise is `platform::rng`'s: number i of a row is SplitMix64's finaliser of (key + (i + 1) * golden), its upper 23
// bits as u in (0, 1), and -ln(-ln u). WGSL has no 64-bit integers: here one is vec2(low, high).
//
// numbers: [vocab, unused, key of row 0 low, high, key of row 1 low, high, ...]

@group(0) @binding(0) var<storage, read_write> noise: array<f32>;
@group(0) @binding(1) var<storage, read_write> numbers: array<u32>;

fn product32(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let left = (a & 0xffffu) * (b >> 16u);
    let right = (a >> 16u) * (b & 0xffffu);
    let middle = (low >> 16u) + (left & 0xffffu) + (right & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u) + (middle >> 16u);
    return vec2<u32>((low & 0xffffu) | (middle << 16u), high);
}

fn product(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let p = product32(a.x, b.x);
    return vec2<u32>(p.x, p.y + a.x * b.y + a.y * b.x);
}

fn sum(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// x ^ (x >> by), for by from 1 to 31
fn fold(x: vec2<u32>, by: u32) -> vec2<u32> {
    return x ^ vec2<u32>((x.x >> by) | (x.y << (32u - by)), x.y >> by);
}

// The upper half of SplitMix64's finaliser.
fn bits(key: vec2<u32>) -> u32 {
    let a = product(fold(key, 30u), vec2<u32>(0x1ce4e5b9u, 0xbf58476du));
    let b = product(fold(a, 27u), vec2<u32>(0x133111ebu, 0x94d049bbu));
    return fold(b, 31u).y;
}

// -ln((m + 0.5) / 2^23). The built-in logarithm may be off by 2^-21 between 0.5 and 2: too much near 1, where the
// result itself is that small. There ln u = 2 artanh(z), z = (u - 1) / (u + 1), with u - 1 exact.
fn surprise(m: u32) -> f32 {
    if (m < 4194304u) {
        return -log((f32(m) + 0.5) / 8388608.0);
    }
    let w = (f32(8388607u - m) + 0.5) / 8388608.0;
    let z = w / (2.0 - w);
    let q = z * z;
    let series = 1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
    return 2.0 * z * series;
}

@compute @workgroup_size({{ size }}, 1, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let vocab = numbers[0];
    let column = id.x;
    let row = id.y;
    if (column >= vocab) {
        return;
    }
    let key = vec2<u32>(numbers[2u * row + 2u], numbers[2u * row + 3u]);
    let counter = product(vec2<u32>(column + 1u, 0u), vec2<u32>(0x7f4a7c15u, 0x9e3779b9u));
    noise[row * vocab + column] = -log(surprise(bits(sum(key, counter)) >> 9u));
}
