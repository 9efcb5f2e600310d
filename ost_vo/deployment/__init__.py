"""A whole archive on one machine: private services below a state directory, under supervisord."""
