"""Graph + rules -> Plan: fusion, kernel selection, delegate partitioning."""
