"""The region graph: its tables, the graph derived from them, the stage, and its form on disk."""

from gnnseg.graph.region_graph import EDGE_NAMES, VOLUME_EDGE_NAMES, RegionGraph, nearest_graph
from gnnseg.graph.stage import compute_regions, region_blocks, region_graph, whole_table
from gnnseg.graph.store import TableStore, create_tables, describe, open_tables
from gnnseg.graph.table import RegionTable, VolumeTable
from gnnseg.graph.volume import supervoxel_graph

__all__ = [
    "EDGE_NAMES",
    "VOLUME_EDGE_NAMES",
    "RegionGraph",
    "RegionTable",
    "TableStore",
    "VolumeTable",
    "compute_regions",
    "create_tables",
    "describe",
    "nearest_graph",
    "open_tables",
    "region_blocks",
    "region_graph",
    "supervoxel_graph",
    "whole_table",
]
