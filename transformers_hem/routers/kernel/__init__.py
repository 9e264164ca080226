"""KernelRouter: a kernel machine on the middle layers of an encoder."""
