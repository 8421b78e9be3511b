"""What is around the models: the configuration, the files to read, the git repository."""
