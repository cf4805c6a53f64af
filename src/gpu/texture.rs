//! From a tensor of pictures to a texture that a window draws, without a way through the host.
//!
//! [`Easel::paint`] runs `shaders/picture_grid.wgsl` on burn's own buffer, on burn's own queue, on the thread that owns
//! the tensor. What burn does later is queued behind it: a buffer that is reused in place cannot spoil the picture.

use std::sync::Arc;

use burn::backend::wgpu::{AutoCompiler, CubeTensor, WgpuResource};
use burn::tensor::{DType, Tensor};
use cubecl::wgpu::WgpuServer;

/// Invocations of a workgroup along each side.
const SIZE: u32 = 8;

/// How square pictures of one size lie in a texture: row by row, each row filled before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtlasLayout {
    /// Side of a picture, in pixels.
    pub side: usize,
    /// Pictures in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl AtlasLayout {
    /// Room for `count` pictures in a texture that is about square; `None` where there is no picture, or where they do
    /// not fit a texture with sides of at most `limit` pixels.
    pub fn of(count: usize, side: usize, limit: usize) -> Option<Self> {
        let along = limit.checked_div(side)?;
        let root = count.isqrt();
        let columns = (root + usize::from(root * root < count)).min(along);
        let rows = count.checked_div(columns)? + usize::from(!count.is_multiple_of(columns));
        (rows <= along).then_some(Self { side, columns, rows })
    }

    /// Width and height of the texture, in pixels.
    pub fn size(self) -> [usize; 2] {
        [self.columns * self.side, self.rows * self.side]
    }

    /// Pictures there is room for.
    pub fn capacity(self) -> usize {
        self.columns * self.rows
    }

    /// Left and upper edge of picture `index`, in pixels.
    pub fn corner(self, index: usize) -> [usize; 2] {
        [index % self.columns * self.side, index / self.columns * self.side]
    }
}

/// Pictures in a texture. Cheap to clone; the texture is painted on again only once every clone is gone.
#[derive(Clone, Debug)]
pub struct Atlas {
    texture: Arc<wgpu::Texture>,
    layout: AtlasLayout,
}

impl Atlas {
    /// The texture, `rgba8unorm` as a window draws it.
    pub fn texture(&self) -> &wgpu::Texture {
        &self.texture
    }

    /// Where each picture lies in it.
    pub fn layout(&self) -> AtlasLayout {
        self.layout
    }
}

/// Why pictures could not be painted. They can still be read back.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PaintError {
    /// The tensor is not on a graphics card that wgpu drives, or not of f32 `[n, 3, side, side]`.
    #[error("the pictures are not where they can be painted: {0}")]
    Tensor(String),
    /// The pictures together are larger than a texture or a binding may be.
    #[error("{count} pictures of {side}x{side} are too many for one texture of this device")]
    TooLarge {
        /// Number of pictures.
        count: usize,
        /// Side of a picture, in pixels.
        side: usize,
    },
    /// The device refused.
    #[error("the device cannot paint: {0}")]
    Device(String),
}

/// Paints pictures into textures of one device.
#[derive(Debug)]
pub struct Easel {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    /// Every texture that somebody still looks at, and those that can be painted on again.
    textures: Vec<Arc<wgpu::Texture>>,
}

impl Easel {
    /// An easel on the device and queue that burn computes with.
    ///
    /// # Errors
    /// [`PaintError::Device`], where the device takes no such shader.
    pub async fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self, PaintError> {
        let source = include_str!("../../shaders/picture_grid.wgsl").replace("{{ size }}", &SIZE.to_string());
        let pipeline = guarded(device, || {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("picture grid"),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("picture grid"),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        })
        .await?;
        Ok(Self { device: device.clone(), queue: queue.clone(), pipeline, textures: Vec::new() })
    }

    /// Paints `pictures` `[n, 3, side, side]` in [0, 1] into one texture: to 256 levels by rounding, clamped, and black
    /// where not a number. `written` is the number of tokens each picture has so far, of `grid` in a row; what the
    /// others will show is grey.
    ///
    /// Returns as soon as the work is queued. Call it on the thread that made the tensor.
    ///
    /// # Errors
    /// [`PaintError`].
    ///
    /// # Panics
    /// If `written` has not one entry for each picture.
    pub async fn paint(&mut self, pictures: &Tensor<4>, grid: usize, written: &[usize]) -> Result<Atlas, PaintError> {
        let [count, channels, side, width] = pictures.dims();
        assert_eq!(written.len(), count, "one number of tokens per picture");
        if channels != 3 || side != width {
            return Err(PaintError::Tensor(format!("their shape is {:?}", pictures.dims())));
        }
        let limits = self.device.limits();
        let too_large = PaintError::TooLarge { count, side };
        let Some(layout) = AtlasLayout::of(count, side, limits.max_texture_dimension_2d as usize) else {
            return Err(too_large);
        };
        // Both are held until the work is submitted: the tensor so that burn does not overwrite its buffer meanwhile,
        // the resource so that the buffer is not given away.
        let tensor = resolve(pictures.clone())?;
        if tensor.dtype != DType::F32 {
            return Err(PaintError::Tensor(format!("they are {:?}", tensor.dtype)));
        }
        let held = tensor
            .client
            .get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone())
            .map_err(|error| PaintError::Tensor(format!("{error:?}")))?;
        let buffer = held.resource();
        let strides: Vec<u64> = tensor.meta.strides().iter().map(|&stride| stride as u64).collect();
        let last = tensor.meta.shape().iter().zip(&strides).map(|(&n, stride)| (n as u64 - 1) * stride).sum::<u64>();
        // A binding begins at a multiple of the device's alignment; a tensor that is a part of another may not.
        let begin = buffer.offset - buffer.offset % u64::from(limits.min_storage_buffer_offset_alignment);
        let first = (buffer.offset - begin) / 4;
        let bytes = 4 * (first + last + 1);
        if 4 * (last + 1) > buffer.size || bytes > limits.max_storage_buffer_binding_size {
            return Err(too_large);
        }
        let whole = |tokens: usize| if tokens >= grid * grid { u32::MAX } else { tokens as u32 };
        let head = [side, layout.columns, count, grid, side.checked_div(grid).unwrap_or(1).max(1)].map(|n| n as u32);
        let place = [first].into_iter().chain(strides).map(|n| n as u32);
        let numbers: Vec<u32> =
            head.into_iter().chain(place).chain(written.iter().map(|&tokens| whole(tokens))).collect();
        // What burn has only recorded so far is submitted before our own work.
        tensor.client.flush().map_err(|error| PaintError::Device(format!("{error:?}")))?;
        let device = self.device.clone();
        let texture = guarded(&device, || self.submit(buffer, begin..begin + bytes, &numbers, layout.size())).await?;
        Ok(Atlas { texture, layout })
    }

    fn submit(
        &mut self,
        pictures: &WgpuResource,
        part: std::ops::Range<u64>,
        numbers: &[u32],
        size: [usize; 2],
    ) -> Arc<wgpu::Texture> {
        let [width, height] = size.map(|n| n as u32);
        let texture = self.blank(width, height);
        let table = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture grid"),
            size: size_of_val(numbers) as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&table, 0, bytemuck::cast_slice(numbers));
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let pictures = wgpu::BufferBinding {
            buffer: &pictures.buffer,
            offset: part.start,
            size: std::num::NonZeroU64::new(part.end - part.start),
        };
        let resources = [
            wgpu::BindingResource::Buffer(pictures),
            table.as_entire_binding(),
            wgpu::BindingResource::TextureView(&view),
        ];
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("picture grid"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &bindings, &[]);
            pass.dispatch_workgroups(width.div_ceil(SIZE), height.div_ceil(SIZE), 1);
        }
        self.queue.submit([encoder.finish()]);
        texture
    }

    /// A texture that nobody looks at: an old one, where one has that size. The last frame that showed an old one was
    /// submitted before its last looker let go of it, and so before what is painted now.
    fn blank(&mut self, width: u32, height: u32) -> Arc<wgpu::Texture> {
        let is_free = |texture: &Arc<wgpu::Texture>| Arc::strong_count(texture) == 1;
        let fits = |t: &&Arc<wgpu::Texture>| is_free(t) && (t.width(), t.height()) == (width, height);
        if let Some(texture) = self.textures.iter().find(fits) {
            return texture.clone();
        }
        self.textures.retain(|texture| !is_free(texture));
        let texture = Arc::new(self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture grid"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        }));
        self.textures.push(texture.clone());
        texture
    }
}

/// What burn keeps a tensor of a graphics card in.
#[cfg(not(feature = "fusion"))]
fn resolve(tensor: Tensor<4>) -> Result<CubeTensor, PaintError> {
    tensor.try_into_primitive::<burn::backend::Wgpu>().map_err(|error| PaintError::Tensor(format!("{error:?}")))
}

/// What burn keeps a tensor of a graphics card in, once everything fused into it is computed.
#[cfg(feature = "fusion")]
fn resolve(tensor: Tensor<4>) -> Result<CubeTensor, PaintError> {
    let fused =
        tensor.try_into_primitive::<burn::backend::Wgpu>().map_err(|error| PaintError::Tensor(error.to_string()))?;
    let client = fused.client.clone();
    Ok(client.resolve_tensor_float::<burn::backend::wgpu::CubeBackend>(fused))
}

/// Runs `work`; an error of the device, which else would end the program, comes back.
async fn guarded<T>(device: &wgpu::Device, work: impl FnOnce() -> T) -> Result<T, PaintError> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validity = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let done = work();
    let (invalid, full) = (validity.pop(), memory.pop());
    match invalid.await.or(full.await) {
        None => Ok(done),
        Some(error) => Err(PaintError::Device(error.to_string())),
    }
}

#[cfg(test)]
pub(crate) mod tests;
