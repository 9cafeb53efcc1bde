import Foundation
import TestSupport
import Testing

@Suite("trainer mix")
struct MixCommandTests {
    private let temporary: TemporaryFolder
    private static let base = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Examples/base").standardized.path()

    init() throws {
        temporary = try TemporaryFolder()
        try temporary.write("ko.jsonl", "{\"text\": \"안녕하세요, 오늘은 날씨가 좋습니다.\"}\n")
        try temporary.write("en.jsonl", "{\"text\": \"The weather is good today.\"}\n")
    }

    private func mix(_ arguments: [String]) throws -> CommandRun {
        try CommandRun(
            [
                "mix", Self.base, "--replay", "en=en.jsonl", "--eval", "ko=ko.jsonl", "en=en.jsonl",
                "--budget",
                "100000", "--trial-steps", "8", "--batch", "1", "--length", "16", "-o", "mixed.yaml",
            ] + arguments, of: "trainer", in: temporary.url)
    }

    /// What can't be tried is refused by the name that was typed, before anything is read.
    @Test(
        arguments: [
            (["--data", "ko=-"], "standard input can be read only once"),
            (["--data", "ko=ko.jsonl", "--trial-steps", "4"], "--trial-steps must be from 8"),
            (["--data", "ko=ko.jsonl", "--seam", "ramp"], "--seam ramp can't be tried"),
            (["--data", "ko=ko.jsonl", "--ids", "rows.safetensors"], "--ids can't be tried"),
            (["--data", "ko=ko.jsonl", "--from-scratch"], "--from-scratch can't be tried"),
            (["--data", "ko=ko.jsonl", "--parent", "a", "--no-parent"], "--parent names a model"),
        ] as [([String], String)])
    func badCommandLines(arguments: [String], message: String) throws {
        let run = try mix(arguments)
        #expect(run.code == 64 && run.messages.contains(message), "\(run.messages)")
        #expect(try temporary.names() == ["en.jsonl", "ko.jsonl"])
    }

    /// Shares within a hundredth, a schedule in pieces and a warm-up that is too long for a trial come to an end.
    @Test func narrowSharesComeToAnEnd() throws {
        let run = try mix([
            "--data", "ko=ko.jsonl", "--shares", "0.101", "0.102", "0.103", "0.104", "0.105", "--schedule",
            "infinite", "--hold-ratio", "0.3", "--warmup", "500",
        ])
        #expect([0, 1].contains(run.code), "\(run.messages)")
        #expect(
            run.messages.components(separatedBy: "the rate never reaches --lr").count == 2, "\(run.messages)")
        #expect(run.messages.contains("0.103") && run.messages.contains("foretold after"), "\(run.messages)")
        #expect(run.code == 0 || run.messages.contains("no share is proposed"), "\(run.messages)")
    }
}
