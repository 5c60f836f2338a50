"""Films, label metrics and basin verdicts for TD-MPC2 and TD-MPC-Glass agents.

The library's rooms are imported by name (`from glassviz.trace import Trace`); importing the
package itself loads nothing else.
"""

__version__ = "0.1.0"
