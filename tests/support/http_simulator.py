"""An HTTP carrier of its own for tests: `loadtest http-carrier` as a process, with the verbs of `Smsc`."""

from typing import Any

from tests.support.smsc import Smsc

TOKEN = "token"


class HttpSimulator(Smsc):
    """One running simulator of kind json. Use `async with HttpSimulator("--fault", "mps=200") as simulator`."""

    command = (
        "http-carrier",
        *("--port", "0", "--control-port", "0", "--token", TOKEN, "--fault", "magic=false"),
    )
    ports = ("port", "control_port")

    def carrier(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a carrier that this is; `bulk` is how many messages a request may have."""
        bulk = settings.pop("bulk", 1)
        item = {"to": "{to}", "from": "{from}", "text": "{text}", "ref": "{message_id}"}
        return {
            "protocol": "http",
            "url": f"http://127.0.0.1:{self.port}/sms/2/messages",
            "window": 100,
            "auth": {"type": "bearer", "secret": TOKEN},
            "request": {
                "body": {"messages": [item]} if bulk > 1 else item,
                "bulk": {"limit": bulk, "list": "/messages" if bulk > 1 else ""},
            },
            "response": {
                "id": ["/id"] if bulk > 1 else ["/messages/0/id"],
                "code": ["/status/code"] if bulk > 1 else ["/messages/0/status/code"],
                "list": "/messages" if bulk > 1 else "",
                "rules": [
                    {"code": ["4"], "class": "throttle"},
                    {"code": ["5"], "class": "retry_later"},
                    {"code": ["1", "3", "6"], "class": "permanent"},
                ],
            },
            **settings,
        }

    async def faults(self, **faults: Any) -> Any:
        """Change its behaviour; `refuse_binds` refuses connections."""
        if "refuse_binds" in faults:
            faults["refuse"] = faults.pop("refuse_binds")
        return await super().faults(**faults)

    async def messages(self, *, after: int = -1) -> list[dict[str, Any]]:
        """Return its record, with a `status` as that of an SMPP carrier."""
        return [
            {**one, "status": "ESME_ROK" if one["is_taken"] else one["code"]}
            for one in await super().messages(after=after)
        ]
