"""The public records, definitions and services, as protobuf. The one model of every layer;
additive only."""
