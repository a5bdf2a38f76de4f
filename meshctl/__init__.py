"""meshctl: a service mesh without a control plane. Git is the control plane."""

__version__ = "0.1.0"
