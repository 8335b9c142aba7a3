"""What is measured about the data and the models, each by one command: python -m benchmarks NAME."""
