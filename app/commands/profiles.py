"""`ssvp profiles`: look at product profiles and go back to an earlier one, in a file or on a service.

Knows the command's words and how profiles are shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from app.client.answers import ProductHistory, ProductProfile
from app.commands.connection import CALL_S, Where
from app.commands.terminal import (
    SERVICE_ERRORS,
    AsJson,
    BundleName,
    KeyFile,
    ProductsFile,
    Url,
    write_line,
    write_table,
)
from model.commands.complaints import one_line_errors

if TYPE_CHECKING:
    from app.commands.products_file import (
        ProfileStore,
    )  # scipy takes its time, and `ssvp --help` needs none of it

profiles_cli = typer.Typer(
    no_args_is_help=True, help="Product profiles: thresholds learnt from good parts."
)
ProductName = Annotated[str, typer.Argument(help="Spoken product name.")]


@profiles_cli.command("list")
def list_profiles(
    as_json: AsJson = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    bundle: BundleName = None,
    products_file: ProductsFile = None,
) -> None:
    """List all products with a profile, and whether it decides.

    Example: ssvp profiles list --url http://line3:8080
    """
    with _profile_store(url, api_key_file, products_file, bundle) as store:
        found = store.products()
    if as_json:
        typer.echo(found.model_dump_json())
        return
    table = _table("product")
    for product in found.products:
        reason = Text(product.reason or "decides")
        table.add_row(Text(product.product), *_cells(product.current), reason)
    write_table(table)
    write_line(f"bundle: {found.bundle.name} {found.bundle.version}")


@profiles_cli.command()
def show(
    product: ProductName,
    as_json: AsJson = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    products_file: ProductsFile = None,
) -> None:
    """Show all versions of one product's profile.

    Example: ssvp profiles show "metal nut" --products-file products.json
    """
    with _profile_store(url, api_key_file, products_file) as store:
        found = store.product(product)
    _show(found, as_json=as_json)


@profiles_cli.command()
def rollback(
    product: ProductName,
    version: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Version to use; 0: none. (default: the version that the current one replaced)",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    products_file: ProductsFile = None,
) -> None:
    """Let an earlier version decide; a running service notices a changed file by itself.

    Example: ssvp profiles rollback "metal nut" --version 1 --url http://line3:8080
    """
    with _profile_store(url, api_key_file, products_file) as store:
        found = store.rollback(product, version)
    _show(found, as_json=as_json)


@contextmanager
def _profile_store(
    url: str | None,
    api_key_file: Path | None,
    products_file: Path | None,
    bundle: str | None = None,
) -> "Iterator[ProfileStore]":
    """Yield where the profiles are; what goes wrong there is one line."""
    where = Where(url, api_key_file, bundle, products_file=products_file)
    with one_line_errors(*SERVICE_ERRORS):
        if where.url is not None:
            from app.client.synchronous import SSVPClient

            key = where.api_key()
            with SSVPClient(where.url, api_key=key, timeout_s=CALL_S, retries=1) as client:
                yield client
        else:
            from app.commands.products_file import FileProfileStore

            settings = where.settings()
            path = settings.products_file
            if path is None:
                raise typer.BadParameter("say where the profiles are: --url or --products-file")
            if not path.exists():
                raise typer.BadParameter(f"there is no file {path}")
            yield FileProfileStore(path, settings.bundle)


def _show(found: ProductHistory, *, as_json: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
        return
    table = _table("")
    for profile in found.history:
        mark = "chosen" if profile.version == found.current else ""
        bundle = Text(f"{profile.bundle.name} {profile.bundle.version}")
        table.add_row(mark, *_cells(profile), bundle)
    write_table(table)
    if found.current is None:
        write_line(f"{found.product}: no version is chosen; the bundle's threshold decides")
    for profile in found.history:
        for warning in profile.warnings:
            write_line(f"version {profile.version}: {warning}", "yellow")


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for name in ("version", "threshold", "rate", "parts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("made", no_wrap=True)
    table.add_column("" if first else "bundle", overflow="fold")
    return table


def _cells(profile: ProductProfile | None) -> list[str]:
    if profile is None:
        return [""] * 5
    return [
        str(profile.version),
        f"{profile.threshold:.4f}",
        f"{100 * profile.false_reject:g} %",
        str(profile.n),
        profile.created_at[:16].replace("T", " "),
    ]
