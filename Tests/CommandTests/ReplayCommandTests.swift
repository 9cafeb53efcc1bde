import Formats
import Foundation
import TestSupport
import Testing

@Suite("trainer replay")
struct ReplayCommandTests {
    private let temporary: TemporaryFolder
    private static let package = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../..").standardized
    private static let base = package.appending(path: "Examples/base").path()
    private static let english = package.appending(path: "Examples/data/english.val.jsonl").path()
    private static let korean = package.appending(path: "Examples/data/korean.val.jsonl").path()

    init() throws { temporary = try TemporaryFolder() }

    private func replay(_ arguments: String...) throws -> CommandRun {
        try CommandRun(
            ["replay", Self.base, "--length", "48"] + arguments, of: "trainer", in: temporary.url)
    }

    /// What it writes is a source of replay as any other.
    @Test func itsTextsAreHealedOn() throws {
        let run = try replay("--tokens", "800", "-o", "own.jsonl", "--prefixes", Self.english, "--json")
        #expect(run.code == 0, "\(run.messages)")
        let figures = try run.json()
        #expect(figures["tokens"]?.int ?? 0 >= 800 && figures["tokens_per_second"]?.double != nil)
        let all = (figures["documents"]?.int ?? 0) + (figures["empty"]?.int ?? 0)
        #expect(figures["prefixed"]?.int == all / 2)
        let record = try JSON.read(path: temporary.path("own.jsonl.run/replay.json"))
        #expect(record["figures"]?["tokens"] == figures["tokens"] && record["model"] == "base")
        #expect(record["sampling"]?["temperature"]?.double == 1)
        let healed = try CommandRun(
            [
                "heal", Self.base, "--data", Self.korean, "--replay", "own=own.jsonl:0.05", "--steps", "3",
                "--batch", "2", "--length", "32", "--lr", "1e-3", "-o", "healed",
            ], of: "trainer", in: temporary.url)
        #expect(healed.code == 0 && !healed.messages.contains("original domain"), "\(healed.messages)")
    }

    @Test func itEndsWithWhatItWrote() throws {
        let run = try replay("--tokens", "300", "-o", "own.jsonl")
        #expect(run.code == 0 && run.output.isEmpty)
        for words in ["documents", "ended by the model", "cut at --length", "repeat", "wrote own.jsonl"] {
            #expect(run.messages.contains(words), "\(run.messages)")
        }
        let again = try replay("--tokens", "300", "-o", "own.jsonl", "--resume")
        #expect(again.code == 0 && again.messages.contains("own.jsonl is there already"))
        try temporary.write("own.jsonl", try temporary.bytes("own.jsonl").dropLast(20))
        let damaged = try replay("--tokens", "300", "-o", "own.jsonl", "--resume")
        #expect(damaged.code == 2 && damaged.messages.contains("is no longer what was written"))
        let there = try replay("--tokens", "300", "-o", "own.jsonl")
        #expect(there.code == 64 && there.messages.contains("exists already"))
    }

    /// Killed at any moment, it goes on to the same bytes.
    @Test func theSameBytesAfterKills() throws {
        let arguments = ["replay", Self.base, "--tokens", "2500", "--length", "64", "--threads", "1"]
        let start = ContinuousClock.now
        let straight = try CommandRun(arguments + ["-o", "a.jsonl"], of: "trainer", in: temporary.url)
        #expect(straight.code == 0, "\(straight.messages)")
        let usual = (ContinuousClock.now - start) / .seconds(1)
        var killed = 0
        for part in [0.3, 0.5, 0.7] {
            let process = Process()
            process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
                .deletingLastPathComponent().appending(path: "trainer")
            process.arguments = arguments + ["-o", "b.jsonl", "--resume"]
            process.currentDirectoryURL = temporary.url
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
            try process.run()
            usleep(UInt32(usual * part * 1e6))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            killed += process.terminationReason == .uncaughtSignal ? 1 : 0
        }
        #expect(killed > 0)
        let last = try CommandRun(
            arguments + ["-o", "b.jsonl", "--resume"], of: "trainer", in: temporary.url)
        #expect(last.code == 0, "\(last.messages)")
        #expect(try temporary.bytes("b.jsonl") == temporary.bytes("a.jsonl"))
        #expect(try temporary.names("b.jsonl.run") == ["replay.json"])
    }

    @Test(
        arguments: [
            (["--tokens", "10", "-o", "a.txt"], "must end in .jsonl"),
            (["--tokens", "0", "-o", "a.jsonl"], "--tokens must be at least 1"),
            (["--tokens", "10", "-o", "a.jsonl", "--force", "--resume"], "give one"),
            (["--tokens", "10", "-o", "a.jsonl", "--prefixes", base], "is a model"),
            (["--tokens", "10", "-o", "a.jsonl", "--prefix-share", "0.1"], "are of --prefixes"),
        ] as [([String], String)])
    func badCommandLines(arguments: [String], message: String) throws {
        let run = try CommandRun(["replay", Self.base] + arguments, of: "trainer", in: temporary.url)
        #expect(run.code == 64 && run.messages.contains(message), "\(run.messages)")
        #expect(try temporary.names().isEmpty)
    }
}
