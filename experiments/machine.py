"""What a result was measured on, for scripts."""

from gnnseg.machine import machine_record

__all__ = ["machine_record"]
