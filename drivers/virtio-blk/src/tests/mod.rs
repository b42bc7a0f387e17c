mod device;
mod hostile;
mod ordinary;
