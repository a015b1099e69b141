"""The diffusion process of Ho et al. 2020: schedule, noise, guidance and samplers. Arrays in, arrays out."""
