"""Use a package in the kernel of a notebook, which shows the notice."""

from typing import Any

from jupyter_client.manager import start_new_kernel

_, client = start_new_kernel()
said: list[str] = []


def hear(message: dict[str, Any]) -> None:
    content = message["content"]
    said.append(content.get("text", "") + "".join(content.get("traceback", [])))


answer = client.execute_interactive("import hostpkg; hostpkg.check()", output_hook=hear, timeout=60)
assert answer["content"]["status"] == "ok", said
client.shutdown()
_.shutdown_kernel()
