"""The diffusion process: noise schedules, prediction types, guidance, samplers. Arrays in, arrays out."""
