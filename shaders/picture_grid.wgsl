// Pictures [count, 3, side, side] of f32 in [0, 1], one beside the other in a texture: row by row, `columns` in a row.
//
// A level is floor(255 x + 0.5), as `data::grid::to_u8` makes it; what tokens not yet written will show, and cells
// without a picture, are grey.
//
// numbers: [side, columns, count, tokens in a row of a picture, pixels in a row of a token, first element of `pictures`,
//           the tensor's four strides in elements, tokens written of picture 0, of picture 1, ...]

// The bits of each number: a device may take not-a-number for anything once it is a float.
@group(0) @binding(0) var<storage, read> pictures: array<u32>;
@group(0) @binding(1) var<storage, read> numbers: array<u32>;
@group(0) @binding(2) var atlas: texture_storage_2d<rgba8unorm, write>;

const HEAD = 10u;
const GREY = 128.0 / 255.0;

fn level(bits: u32) -> f32 {
    // Greater than infinity's bits: not-a-number, or any number with a sign.
    if (bits > 0x7f800000u) {
        return 0.0;
    }
    if (bits >= 0x3f800000u) {
        return 1.0;
    }
    return floor(bitcast<f32>(bits) * 255.0 + 0.5) / 255.0;
}

@compute @workgroup_size({{ size }}, {{ size }}, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(atlas);
    if (id.x >= size.x || id.y >= size.y) {
        return;
    }
    let side = numbers[0];
    let cell = id.xy / side;
    let at = id.xy % side;
    let index = cell.y * numbers[1] + cell.x;
    var colour = vec3<f32>(GREY);
    if (index < numbers[2]) {
        let token = at.y / numbers[4] * numbers[3] + at.x / numbers[4];
        if (token < numbers[HEAD + index]) {
            let red = numbers[5] + index * numbers[6] + at.y * numbers[8] + at.x * numbers[9];
            let plane = numbers[7];
            colour = vec3<f32>(level(pictures[red]), level(pictures[red + plane]), level(pictures[red + 2u * plane]));
        }
    }
    textureStore(atlas, id.xy, vec4<f32>(colour, 1.0));
}
