"""sansheng: VAE, GAN, diffusion and flow models on your own data, compared fairly."""
