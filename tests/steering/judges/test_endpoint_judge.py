"""A chat model at an address as a judge: asked on this machine, told first, the key nowhere but in the header."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from steering.confines import Confines, confined
from steering.errors import SteeringError
from steering.judges import endpoint as module
from steering.judges import sort_reply
from steering.judges.endpoint import Endpoint, ask_endpoint
from steering.judges.ratings import ASKED, mark_in
from steering.statistics import kappa
from steering.studies.axbench.chat_judge import judge_at
from steering.studies.axbench.demo_concepts import demo_concepts
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import Marks
from steering.studies.refusal import Inquiry, RefusalSettings
from steering.studies.refusal.second import most_calls, second_judge
from steering.studies.tradeoff import Comparison, TradeoffSettings, picture_of, result_of


KEY = "sk-the-key-itself"


@dataclass
class Service:
    """Stands in for a chat service; says refusal where the reply has the word "cannot"."""

    url: str = ""
    seen: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    """Path, body and authorization of every call."""
    failures: list[tuple[int, str]] = field(default_factory=list)
    """Codes and bodies to answer with first."""
    answers: list[str] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.seen.append((self.path, body, self.headers.get("authorization", "")))
            code, text = found.failures.pop(0) if found.failures else (200, "")
            said = "refusal" if "cannot" in body["messages"][1]["content"] else "compliance"
            answer = found.answers.pop(0) if found.answers else said
            self.send_response(code)
            self.end_headers()
            self.wfile.write((text or json.dumps({"choices": [{"message": {"content": answer}}]})).encode())

        def log_message(self, *given: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def asked(endpoint: Endpoint, *replies: str) -> list[bool | None]:
    return list(ask_endpoint(endpoint, ["How?"] * len(replies), replies))


def test_verdicts_come_in_the_order_of_the_replies_and_the_key_goes_into_the_header_only(service) -> None:
    replies = [f"{'I cannot' if number % 3 else 'Sure'}, {number}" for number in range(20)]
    endpoint = Endpoint(service.url, "judge-1", "JUDGE_KEY")
    assert asked(endpoint, *replies) == [bool(number % 3) for number in range(20)]
    assert {path for path, *_ in service.seen} == {"/v1/chat/completions"}
    assert {key for *_, key in service.seen} == {f"Bearer {KEY}"}
    assert all(body["model"] == "judge-1" and body["temperature"] == 0 for _, body, _ in service.seen)
    assert KEY not in repr(endpoint) + endpoint.told(10, 400) + json.dumps([body for _, body, _ in service.seen])
    asked(Endpoint(service.url, "judge-1"), "Sure.")
    assert service.seen[-1][2] == "", "no key, no header"


def test_the_verdict_is_the_last_word_behind_a_thought_and_none_without_one(service) -> None:
    service.answers = ["<think>Is it a refusal? No.</think>Compliance.", "**Refusal**", "I do not know.", ""]
    found = [asked(Endpoint(service.url, "m"), "x")[0] for _ in range(4)]
    assert found == [False, True, None, None]


def test_marks_are_asked_one_by_one_told_first_and_kept(service, demo) -> None:
    settings = TradeoffSettings(judge_url=service.url, judge_model="marker", judge_calls=3)
    with pytest.raises(SteeringError, match="judge_calls=7 or more"):
        judge_at(settings, {}, 7, 40)
    assert service.seen == []
    kept: dict[str, dict[str, Any]] = {}
    judge = judge_at(settings.model_copy(update={"judge_calls": 7}), kept, 7, 40)
    concept = demo_concepts(1, texts=8, instructions=2)[0]
    replies = [Said(concept.instructions[0], text, (), False) for text in ("The sea.", "The road.")]
    service.seen.clear()
    # Both replies are asked about at once, so that their order is not known: equal marks for a part.
    service.answers = ["2", "2", "<think>2 or 0?</think>Mark: 1.", "1", "good", "none"]
    marks = demo.run(lambda job: judge.marks(job, concept, replies), title="Marking")
    assert marks == [Marks(2, 1, 0)] * 2
    assert judge.missing == 2
    asked = [body["messages"] for _, body, _ in service.seen]
    assert [each[0]["content"] for each in asked] == [text for text in ASKED.values() for _ in replies]
    assert all(concept.name in each[1]["content"] for each in asked[:2])
    assert all(concept.instructions[0].text in each[1]["content"] for each in asked[2:4])
    assert demo.run(lambda job: judge.marks(job, concept, replies), title="Marking") == marks
    assert len(service.seen) == 6, "what is known is not asked again"


def test_a_mark_is_the_last_number_alone() -> None:
    assert [mark_in(each) for each in ("2", "Mark: 1.", "0 or 2? 2", "12", "1.5", "")] == [2, 1, 2, None, None, None]


def test_a_busy_service_is_asked_again_and_one_that_says_no_is_not(service) -> None:
    service.failures = [(429, "later"), (503, "later")]
    assert asked(Endpoint(service.url, "m"), "I cannot.") == [True]
    assert len(service.seen) == 3
    service.failures = [(401, f"the key {KEY} is wrong")] * 4
    with pytest.raises(SteeringError, match="401") as caught:
        asked(Endpoint(service.url, "m", "JUDGE_KEY"), "I cannot.")
    assert len(service.seen) == 4
    assert KEY not in str(caught.value)
    service.failures = [(200, "<html>hello</html>")]
    with pytest.raises(SteeringError, match="no chat answer"):
        asked(Endpoint(service.url, "m"), "x")
    service.failures = [(302, "")]
    with pytest.raises(SteeringError, match="302"):
        asked(Endpoint(service.url, "m"), "x")


def test_an_address_where_nobody_listens_is_told(service) -> None:
    port = service.url.partition("127.0.0.1:")[2].partition("/")[0]
    with pytest.raises(SteeringError, match="could not be asked"):
        asked(Endpoint(f"https://127.0.0.1:{port}/v1", "m"), "x")  # speaks no TLS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/v1",
        "ftp://host/v1",
        "file:///etc/hosts",
        "https://",
        "https://me:secret@host/v1",
        "http://[",
        "https://h/?k=secret",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SteeringError, match="http or https") as caught:
        Endpoint(url, "m")
    assert "secret" not in str(caught.value)


def test_a_key_goes_over_https_only_and_what_is_no_variable_is_not_repeated() -> None:
    Endpoint("http://host/v1", "m")
    Endpoint("https://host/v1", "m", "JUDGE_KEY")
    with pytest.raises(SteeringError, match="unencrypted"):
        Endpoint("http://host/v1", "m", "JUDGE_KEY")
    with pytest.raises(SteeringError, match="not set") as caught:
        Endpoint("https://host/v1", "m", "sk_typed_by_mistake")
    assert "sk_typed" not in str(caught.value)
    with pytest.raises(SteeringError, match="without a model"):
        Endpoint("https://host/v1", " ")


SMALL = {"n_train": 16, "n_validation": 8, "n_test": 3, "arms": "none", "random": 0, "questions": 0, "reply_tokens": 24}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What one inquiry found and another need not find again, but for what a service at another address says."""
    return {}


def test_calls_are_told_before_anything_runs_and_only_allowed_ones_are_made(service, demo, found) -> None:
    given = {**SMALL, "judge_url": service.url, "judge_model": "m", "judge_price": 2.0}
    settings = RefusalSettings.model_validate(given)
    assert most_calls(settings) == 1 * 3 * 3 + 1
    with pytest.raises(SteeringError, match=r"10 calls to m .* tokens sent.* at 2 a million.*judge_calls=10"):
        Inquiry(demo, settings)
    assert service.seen == []
    assert second_judge(RefusalSettings(), {}) is None
    allowed = RefusalSettings.model_validate({**given, "judge_calls": 10})
    inquiry = Inquiry(demo, allowed, found)
    result = demo.run(lambda job: _through(inquiry, job), title="Judging")
    assert 1 < len(service.seen) <= 10
    judges = result.tables["judges"]
    pair = judges[(judges["first"] == "rules") & (judges["second"] == "model at an address")].iloc[0]
    assert pair["n"] == 9
    said = result.tables["replies"]
    assert list(said["endpoint"]) == ["cannot" in text for text in said["text"]]
    assert any(measure.name == "kappa: rules and model at an address" for measure in result.measures)
    before = len(service.seen)
    demo.run(lambda job: _through(Inquiry(demo, allowed, inquiry.kept), job), title="Judging")
    assert len(service.seen) == before + 1, "only the trial is asked again"


def _through(inquiry: Inquiry, job: Any) -> Any:
    from steering.studies.refusal import result_of

    for _ in inquiry.run(job):
        pass
    return result_of(inquiry)


def test_the_key_is_in_no_file_of_the_result(service, demo, found, tmp_path) -> None:
    given = {**SMALL, "judge_url": service.url, "judge_model": "m", "judge_key": "JUDGE_KEY", "judge_calls": 10}
    inquiry = Inquiry(demo, RefusalSettings.model_validate(given), found)
    demo.run(lambda job: _through(inquiry, job), title="Judging").write(tmp_path)
    assert len(service.seen) > 1, "replies were sent with it"
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"JUDGE_KEY" in each for each in written)
    assert not any(KEY.encode() in each for each in written)
    assert service.seen[-1][2] == f"Bearer {KEY}"


SWEPT = {
    "strengths": "-1, 1",
    "alignment": "harmlessness",
    "alignment_by": "judged",
    "compare": "",
    "also": "false_refusal",
    "random": 1,
    "n": 4,
    "n_replies": 3,
    "reply_tokens": 24,
}


def test_the_trade_off_tells_the_calls_and_asks_about_replies_that_count_refusals(service, demo) -> None:
    given = {**SWEPT, "judge_url": service.url, "judge_model": "m", "judge_price": 2.0}
    # Unsteered and two strengths, three replies of each of two measures, and one to try it out; no random direction.
    with pytest.raises(SteeringError, match=r"19 calls to m .* at 2 a million.*judge_calls=19"):
        _swept(demo, given, {})
    assert service.seen == []
    kept: dict[str, Any] = {}
    found = _swept(demo, {**given, "judge_calls": 19}, kept)
    assert 1 < len(service.seen) <= 19
    result = result_of(picture_of(found))
    pair = result.tables["judges"].iloc[0]
    assert (pair["first"], pair["second"], pair["n"]) == ("rules", "model at an address", 18)
    # The service goes by one word; counted here from the replies themselves.
    items = result.tables["items"]
    replies = items[items["measure"].isin(["alignment", "false_refusal"])]
    assert len(replies) == 12, "the unsteered ones are at no strength of this sweep"
    by_rules = [sort_reply(text).content == "refusal" for text in replies["read"]]
    assert any(by_rules)
    differ = sum(rule != ("cannot" in text) for rule, text in zip(by_rules, replies["read"], strict=True))
    shown = result.tables["disagreements"]
    assert (shown["method"] != "unsteered").sum() == differ
    assert any(measure.name == "kappa: rules and model at an address" for measure in result.measures)
    assert "How far the judges agree" in result.files["report.html"]
    before = len(service.seen)
    _swept(demo, {**given, "judge_calls": 19}, kept)
    assert len(service.seen) == before + 1, "only the trial is asked again"


def _swept(demo, given: dict[str, Any], kept: dict[str, Any]) -> Comparison:
    found = Comparison(demo, TradeoffSettings.model_validate(given), kept)
    demo.run(lambda job: list(found.run(job)), title="Judging")
    return found


def test_a_judge_with_nothing_to_judge_is_refused(service, demo) -> None:
    given = {**SWEPT, "alignment_by": "pairs", "also": "", "judge_url": service.url, "judge_model": "m"}
    with pytest.raises(SteeringError, match="nothing that is measured counts refusals"):
        _swept(demo, given, {})


def test_a_page_that_others_reach_asks_no_address(service, demo, tmp_path) -> None:
    for study, settings in ((Inquiry, RefusalSettings), (Comparison, TradeoffSettings)):
        given = settings.model_validate({"judge_url": service.url, "judge_model": "m"})
        with confined(Confines(tmp_path, hub=False, models=None)), pytest.raises(SteeringError, match="cannot ask"):
            study(demo, given, {})
    own = Confines(tmp_path, hub=True, models=None, addresses=True)
    with confined(own):
        Comparison(demo, TradeoffSettings(judge_url=service.url, judge_model="m"), {})
    assert service.seen == []


def test_kappa_is_one_zero_and_minus_one_where_it_should_be() -> None:
    assert kappa([True, False] * 20, [True, False] * 20).value == pytest.approx(1)
    assert kappa([True, False] * 20, [False, True] * 20).value == pytest.approx(-1)
    by_chance = kappa([True, True, False, False] * 10, [True, False] * 20)
    assert by_chance.value == pytest.approx(0)
    assert by_chance.low < 0 < by_chance.high
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no (Cohen's own kind of table): (0.7 - 0.5) / (1 - 0.5)
    cells = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    found = kappa(*map(list, zip(*cells, strict=True)))
    assert found.value == pytest.approx(0.4)
    # The large-sample standard error of kappa here is about 0.13, so that the interval is some 0.5 wide.
    assert 0.35 < found.high - found.low < 0.65
