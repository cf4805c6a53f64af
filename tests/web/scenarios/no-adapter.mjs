// A browser that knows WebGPU but has no graphics card for it, as in many a virtual machine.

export { limit, run } from "./no-webgpu.mjs";

export const what = "without an adapter the page computes on the CPU, and says so";
export const browser = { webgpu: false };
