"""How good are the digits: classifiers that judge them, and the measures of Fréchet, Naeem, Ravuri and others."""
