"""Streaming without ROS: a pipeline from a source through stages to sinks, the same object live, from a bag and from files."""

from ego_perception.runtime.background import BackgroundWorker
from ego_perception.runtime.clock import Clock, ReplayClock, SystemClock
from ego_perception.runtime.latency import LatencyBook, StageLatency
from ego_perception.runtime.pipeline import EstimatorStage, Pipeline, PipelineCounters
from ego_perception.runtime.protocols import Estimator, Sink, Source, Stage
from ego_perception.runtime.queue import BoundedQueue, QueuePolicy
from ego_perception.runtime.stamps import StampGuard, StampVerdict

__all__ = [
    "BackgroundWorker",
    "BoundedQueue",
    "Clock",
    "Estimator",
    "EstimatorStage",
    "LatencyBook",
    "Pipeline",
    "PipelineCounters",
    "QueuePolicy",
    "ReplayClock",
    "Sink",
    "Source",
    "Stage",
    "StageLatency",
    "StampGuard",
    "StampVerdict",
    "SystemClock",
]
