"""`caudal dlq`: records that no reader could process."""

from pathlib import Path

import click

from gateway.commands.shared import (
    config_option,
    fail,
    json_option,
    load,
    print_rows,
    wait_for,
    with_database,
)

_topic_option = click.option("--topic", default=None, help="Only records of this topic.")
_all_option = click.option("--all", "takes_all", is_flag=True, help="Every dead record.")
_ids_argument = click.argument("ids", nargs=-1, type=int)


@click.group()
def dlq() -> None:
    """Dead letters: records set aside because they could not be processed."""


@dlq.command("list")
@config_option
@json_option
@_topic_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most lines.")
def dlq_list(config_path: Path | None, as_json: bool, topic: str | None, limit: int) -> None:  # noqa: FBT001 - click passes flags by name
    """List dead records, the newest first: where they were and why they died."""
    from gateway.runtime.dead_tasks import list_dead

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_dead(settings, topic=topic, limit=limit)), as_json=as_json)


@dlq.command("replay")
@config_option
@_topic_option
@_all_option
@_ids_argument
def dlq_replay(config_path: Path | None, topic: str | None, takes_all: bool, ids: tuple[int, ...]) -> None:  # noqa: FBT001 - click passes flags by name
    """Put dead records on their topic again, by IDS, by --topic, or --all: once what killed them is mended."""
    from gateway.runtime.dead_tasks import replay_dead

    _check_choice(topic, ids, takes_all=takes_all)
    settings = with_database(load(config_path)[0])
    count = wait_for(lambda: replay_dead(settings, topic=topic, ids=ids or None))
    click.echo(f"{count} records are on their topic again")


@dlq.command("drop")
@config_option
@_topic_option
@_all_option
@_ids_argument
def dlq_drop(config_path: Path | None, topic: str | None, takes_all: bool, ids: tuple[int, ...]) -> None:  # noqa: FBT001 - click passes flags by name
    """Delete dead records for good, by IDS, by --topic, or --all."""
    from gateway.runtime.dead_tasks import drop_dead

    _check_choice(topic, ids, takes_all=takes_all)
    settings = with_database(load(config_path)[0])
    click.echo(f"{wait_for(lambda: drop_dead(settings, topic=topic, ids=ids or None))} records dropped")


def _check_choice(topic: str | None, ids: tuple[int, ...], *, takes_all: bool) -> None:
    if sum([topic is not None, bool(ids), takes_all]) != 1:
        fail("say which: IDS, --topic NAME, or --all")
