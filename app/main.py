"""The only wiring: settings and a runtime in, a FastAPI application out.

Knows which pieces there are and what each is given; knows neither what they do nor who serves the application.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app.api.body import BodyBudget
from app.api.keys import ApiKeys
from app.api.middleware import RecordMiddleware
from app.api.problems import add_problem_handlers
from app.api.routes import batch, console, detect, health, products
from app.engine.calibrator import Calibrator
from app.engine.image_files import ImageFiles
from app.engine.lifecycle import Engine
from app.garbage import lasting
from app.metrics import Metrics
from app.products.live import Products
from app.products.store import ProductStore
from app.runtime.protocol import Runtime
from app.settings import Settings

BODIES_AT_ONCE = 8  # of the largest size that may be arriving; smaller ones the more
CALIBRATIONS_AT_ONCE = 2  # likewise; they may wait for minutes, so they take none of the line's


def create_app(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Build the service.

    Args:
        settings: how to run it.
        runtime: what computes scores; None loads the settings' bundle while the service starts.
    """
    metrics = Metrics()
    profiles = Products(ProductStore(settings.products_file))
    engine = Engine(settings, metrics.observe_batch, profiles)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.image_files.look_for_roots()
        async with profiles.following(), engine.running(lambda: runtime or load_runtime(settings)):
            yield

    app = FastAPIOffline(
        title="SSVP Inspect",
        summary="One image of a part in, OK or NG out.",
        version=version("ssvp-inspect"),
        lifespan=lifespan,
        redoc_url=None,
        static_url="/docs/files",
        favicon_url="/console/icon.svg",
        redirect_slashes=False,  # few PLCs follow redirects; a 404 says what is wrong
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.engine = engine
    app.state.calibrator = Calibrator(engine)
    app.state.products = profiles
    app.state.console = console.read_assets()
    app.state.image_files = ImageFiles(
        settings.image_roots, settings.max_body_bytes, settings.places
    )
    engine.on_drained = app.state.image_files.close
    app.state.body_budget = BodyBudget(BODIES_AT_ONCE * settings.max_body_bytes)
    app.state.calibration_budget = BodyBudget(CALIBRATIONS_AT_ONCE * settings.max_body_bytes)
    app.state.keys = ApiKeys(settings.api_keys_file, settings.key_rate_per_s)
    app.add_middleware(RecordMiddleware, metrics=metrics)
    add_problem_handlers(app)
    app.include_router(detect.router)
    app.include_router(batch.router)
    app.include_router(products.router)
    app.include_router(health.router)
    app.include_router(console.router)
    return app


def load_runtime(settings: Settings) -> Runtime:
    """Load the bundle onto the device.

    Raises:
        StartError: bundle or device cannot be used; one line says why.
    """
    with lasting():
        from app.runtime import ssvp  # torch takes seconds to import; /livez answers meanwhile

        return ssvp.load_runtime(
            settings.bundle,
            settings.device,
            settings.precision,
            settings.max_batch,
            compiled=settings.compile,
            graphed=settings.cuda_graphs,
        )
