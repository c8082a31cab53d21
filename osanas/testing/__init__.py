"""For the tests of whoever adds a measurer, a trainer, a task or an energy meter."""
