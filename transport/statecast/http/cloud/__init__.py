"""The cloud API: threads, history, attachments and titles, as the npm package `assistant-cloud` asks for them.

One file per kind of thing that is asked for; `routes` puts them together. Everything but the settings needs the extra
`cloud`.
"""

from .settings import Cloud, CloudReport, CloudUser, Issuer

__all__ = ["Cloud", "CloudReport", "CloudUser", "Issuer"]
