"""Programs that ask a server as a harness may do, for tests of commands."""

CLIENT = """
import json, os, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor

def ask(path, key=os.environ["OPENAI_API_KEY"], **fields):
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + key} if key else {})
    body = json.dumps({"model": os.environ["AMA_RAY_MODEL"], "temperature": 0, **fields}).encode() if fields else None
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + path, body, headers)
    return json.load(urllib.request.urlopen(request))

def code(**asked):
    try:
        ask("/completions", **asked)
    except urllib.error.HTTPError as error:
        return error.code
    return 200

def reply(number=0):
    return ask("/completions", prompt=[1, 5, 6], max_tokens=20, ignore_eos=True)["choices"][0]["text"]

echo = ask("/completions", prompt="the cat", max_tokens=1, logprobs=1, echo=True)["choices"][0]["logprobs"]
codes = {
    "no key": code(key="", prompt="the"),
    "another key": code(key="mine", prompt="the"),
    "another model": code(model="aligned", prompt="the"),
    "too long": code(prompt=[1] * 5000),
    "next": code(prompt="the", max_tokens=1),
}
with ThreadPoolExecutor(30) as pool:
    replies = list(pool.map(reply, range(30)))
models = [model["id"] for model in ask("/models")["data"]]
logprobs, alone = echo["token_logprobs"][:-1], reply()
print(json.dumps({"logprobs": logprobs, "codes": codes, "replies": replies, "alone": alone, "models": models}))
print(json.dumps({"scores": [1]}))
"""
"""What is asked in all sorts of ways; the last line but one says what came back."""

FLOOD = """
import json, os, urllib.request
from concurrent.futures import ThreadPoolExecutor

def ask(number):
    body = json.dumps({"model": "point", "prompt": [1, 5, 6, 1 + number % 300], "max_tokens": 120, "ignore_eos": True})
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    url = os.environ["OPENAI_BASE_URL"] + "/completions"
    urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers))
    print("asking", flush=True)

with ThreadPoolExecutor(40) as pool:
    list(pool.map(ask, range(100_000)))
"""
"""It asks much at once and does not end."""
