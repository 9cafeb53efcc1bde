"""The processes of several hosts: whether all can begin, how they meet, and what files they send each other."""

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import socket
import struct
from typing import Any

import torch
import torch.distributed as dist
from rules import Refusal

# What is copied from host to host at once.
BLOCK_BYTES = 64_000_000


def agree(store: dist.Store, rank: int, ranks: int, problem: str | None, sums: str) -> None:
    """Tells every process what is wrong with one of them, so that none waits for it; all must have the same files."""
    store.set(f"checked/{rank}", json.dumps([socket.gethostname(), problem, sums]))
    for other in range(ranks):
        host, problem, found = json.loads(store.get(f"checked/{other}"))
        if problem:
            raise Refusal(problem, other, host)
        if other == 0:
            first = found
        elif found != first:
            raise Refusal(
                "its run folder is of another job than that of process 0; copy the folder to each host anew",
                other,
                host,
            )


def interface_to(address: str) -> str | None:
    """The network interface by which an IPv4 address is reached; none where only others know.

    Where a machine's own name stands for 127.0.1.1, as on Debian, gloo would listen where no other host reaches it.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # No packet is sent: the system only says where it would go.
        probe.connect((address, 9))
        own = probe.getsockname()[0]
        if own.startswith("127.") and os.environ["WORLD_SIZE"] != os.environ["LOCAL_WORLD_SIZE"]:
            return None
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                siocgifaddr = 0x8915
                found = fcntl.ioctl(probe, siocgifaddr, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(found[20:24]) == own:
                    return name
    return None


class Folders:
    """The folders of the processes: that of the first one, and copies of it that others see."""

    def __init__(self, home: pathlib.Path, device: torch.device) -> None:
        """Finds out which processes see the first one's, and one process for each folder that is another."""
        self.device, self.rank, self.ranks = device, dist.get_rank(), dist.get_world_size()
        names = [f".seen-{secrets.token_hex(8)}"]
        dist.broadcast_object_list(names)
        token = home / names[0]
        if self.rank == 0:
            token.touch()
        dist.barrier()
        self.is_home = token.exists()
        leads: list[Any] = [None] * self.ranks
        dist.all_gather_object(leads, not self.is_home and os.environ["LOCAL_RANK"] == "0")
        self.leads = [rank for rank, leads_another in enumerate(leads) if leads_another]
        if self.rank == 0:
            token.unlink()

    def transfer(self, path: pathlib.Path, size: int, sender: int, receiver: int) -> None:
        """Copies a file from one process to another, some at a time."""
        if self.rank not in (sender, receiver):
            return
        with path.open("rb" if self.rank == sender else "wb") as file:
            for start in range(0, size, BLOCK_BYTES):
                count = min(BLOCK_BYTES, size - start)
                if self.rank == sender:
                    block = torch.frombuffer(bytearray(file.read(count)), dtype=torch.uint8)
                    dist.send(block.to(self.device), receiver)
                else:
                    block = torch.empty(count, dtype=torch.uint8, device=self.device)
                    dist.recv(block, sender)
                    file.write(block.cpu().numpy())

    def bring_home(self, folder: pathlib.Path) -> None:
        """Brings the parts of a checkpoint to the first process that were written to other folders."""
        own = [] if self.is_home else sorted(folder.glob(f"__{self.rank}_*"))
        lists: list[Any] = [None] * self.ranks
        dist.all_gather_object(lists, [(file.name, file.stat().st_size) for file in own])
        for sender, files in enumerate(lists):
            for name, size in files:
                self.transfer(folder / name, size, sender, 0)

    def hand_out(self, folder: pathlib.Path) -> None:
        """Copies a checkpoint to the folders of those that do not see it."""
        found = [[(file.name, file.stat().st_size) for file in sorted(folder.iterdir())] if self.rank == 0 else []]
        dist.broadcast_object_list(found)
        for lead in self.leads:
            if self.rank == lead:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            for name, size in found[0]:
                self.transfer(folder / name, size, 0, lead)
        dist.barrier()

    def remove_copy(self, folder: pathlib.Path) -> None:
        """Removes what lies in another folder than the first process's."""
        dist.barrier()
        if self.rank in self.leads:
            shutil.rmtree(folder, ignore_errors=True)
