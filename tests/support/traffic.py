"""Real-looking traffic: Spanish texts of all lengths to numbers of the home markets, made from a seed."""

import random
from collections.abc import Iterator
from typing import Any

_NAMES = ("Ana", "José", "María", "Begoña", "Íñigo", "Sofía", "Núñez", "Zoé", "Andrés", "Lucía")
_TEXTS = (
    "Su código es {n:04d}. Válido por 5 min.",
    "Hola {name}, su saldo vencido es ${n}.00. Pague hoy y evite recargos.",
    "{name}: tu pedido {n} va en camino. ¿Dudas? Responde AYUDA",
    (
        "Estimado(a) {name}, le recordamos su cita del {day} de mayo a las {hour}:00 en la clínica. "
        "Si no puede asistir responda CANCELAR con 24 horas de anticipación, por favor. Folio {n}."
    ),
    "¡Oferta! {name}, hasta {day} € de descuento en línea. Código: ÑANDÚ{n} 🎉",
    "Aviso de pago recibido. Folio {n}. Gracias, {name}. " * 4,
)
# The last two digits choose the simulator's behaviour, so ordinary traffic stays at 20 and above.
_FORMS = ("+5255{:08d}", "+569{:08d}", "+57300{:07d}")


def rows(
    count: int, *, seed: int = 7, prefix: str = "row", single_segment: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield messages for `POST /v1/messages:batch`, each with a client_ref of its own."""
    pick = random.Random(seed)
    for index in range(count):
        form = pick.choice(_FORMS)
        digits = 7 if "300" in form else 8
        # 1234xxxx and 8765xxxx: plausible subscriber numbers of all three plans
        number = (12 if digits == 8 and "55" in form else 87) * 10 ** (digits - 2) + pick.randrange(
            10**4
        ) * 100
        text = pick.choice(_TEXTS[:1] if single_segment else _TEXTS).format(
            n=pick.randrange(10_000),
            name=pick.choice(_NAMES),
            day=pick.randrange(1, 29),
            hour=pick.randrange(8, 19),
        )
        yield {
            "to": form.format(number + pick.randrange(20, 100)),
            "content": {"text": text.strip()},
            "client_ref": f"{prefix}-{index}",
        }


def batches(messages: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Cut a list into lists of at most `size`."""
    for start in range(0, len(messages), size):
        yield messages[start : start + size]
