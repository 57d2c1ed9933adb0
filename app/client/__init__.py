"""A Python client of the service; it imports neither the engine nor torch.

```python
from app.client import SSVPClient

with SSVPClient("http://localhost:8080") as client:
    found = client.detect("part.png", product="metal nut")
    print(found.result, found.score)
```
"""

from app.client.answers import (
    Calibration,
    GoodScore,
    Inspection,
    PartProblem,
    ProductHistory,
    ProductProfile,
    Products,
    Readiness,
)
from app.client.asynchronous import AsyncSSVPClient
from app.client.errors import (
    LateError,
    RequestRefusedError,
    ServiceFailedError,
    SSVPError,
    UnavailableError,
    UnreachableError,
    UnreadableAnswerError,
)
from app.client.synchronous import SSVPClient

__all__ = [
    "AsyncSSVPClient",
    "Calibration",
    "GoodScore",
    "Inspection",
    "LateError",
    "PartProblem",
    "ProductHistory",
    "ProductProfile",
    "Products",
    "Readiness",
    "RequestRefusedError",
    "SSVPClient",
    "SSVPError",
    "ServiceFailedError",
    "UnavailableError",
    "UnreachableError",
    "UnreadableAnswerError",
]
