"""The parallel fetch most Python programs write at home with aiohttp: the peer of `gannet fetch`.

A session with a connection limit, a semaphore, timeouts, retries with exponential backoff, one task for each URL
under gather, and a dict from URL to its data or its error. Prints the count of both as JSON.
"""

import argparse
import asyncio
import json
import random

import aiohttp

ATTEMPTS = 3
RETRIED = {408, 429, 500, 502, 503, 504}


async def fetch(session, gate, url):
    error = None
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(2 ** (attempt - 1) * random.uniform(0.5, 1))
        try:
            async with gate, session.get(url) as response:
                if response.status in RETRIED:
                    error = f"status {response.status}"
                    continue
                response.raise_for_status()
                return {"ok": True, "data": await response.json()}
        except aiohttp.ClientResponseError as failure:
            return {"ok": False, "error": str(failure)}
        except (aiohttp.ClientError, asyncio.TimeoutError) as failure:
            error = repr(failure)
    return {"ok": False, "error": error}


async def fetch_all(urls, concurrency):
    gate = asyncio.Semaphore(concurrency)
    timeout = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=60)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        results = await asyncio.gather(*(fetch(session, gate, url) for url in urls))
    return dict(zip(urls, results))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("urls", help="a file with one URL per line")
    parser.add_argument("concurrency", type=int)
    parser.add_argument("--uvloop", action="store_true")
    args = parser.parse_args()
    with open(args.urls, encoding="utf-8") as lines:
        urls = lines.read().split()
    if args.uvloop:
        import uvloop

        results = uvloop.run(fetch_all(urls, args.concurrency))
    else:
        results = asyncio.run(fetch_all(urls, args.concurrency))
    ok = sum(result["ok"] for result in results.values())
    print(json.dumps({"ok": ok, "failed": len(results) - ok}))


if __name__ == "__main__":
    main()
