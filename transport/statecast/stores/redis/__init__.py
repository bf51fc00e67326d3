"""The Redis store, for Redis 7.0 or newer and Valkey. It needs the extra `redis`."""

from .store import RedisStore

__all__ = ["RedisStore"]
