import Formats
import Foundation
import Testing

/// Whatever writes a model may be killed at any moment: the same command then makes the same bytes.
///
/// Scripts/compare/kills.py does the same with models that take longer to write.
@Suite("Writing after SIGKILL")
struct KillTests {
    /// How often each command is killed: few times, since each ends in waiting for the disk; KILLS=20 asks for more.
    private static let kills = ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 4

    /// A folder with a copy of the example's model in it.
    private func folder() throws -> ModelFolder {
        let folder = try ModelFolder()
        let examples = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Examples")
        try FileManager.default.removeItem(at: folder.model)
        try FileManager.default.copyItem(at: examples.standardized.appending(path: "base"), to: folder.model)
        let quantized = "../TrainerTests/Fixtures/quantized/fp8-experts"
        try FileManager.default.copyItem(
            at: URL(filePath: #filePath).deletingLastPathComponent().appending(path: quantized).standardized,
            to: folder.url.appending(path: "quantized"))
        return folder
    }

    @Test(arguments: [
        ["dus", "base", "--to", "12"], ["layers", "base", "--plan", "0-7,7-0"],
        ["expand", "base", "--to", "12"],
        ["prune", "base", "--to", "7", "--drop", "1"], ["convert", "base", "--dtype", "f32"],
        ["resize-vocab", "base", "--size", "1601"],
        ["run", "base", "--step", "dus --to 12", "--step", "convert --dtype f16"], ["undo", "made"],
        ["average", "base", "base"], ["restore", "made", "--instruct", "base", "--base", "base"],
        ["convert", "quantized", "--dequantize"],
    ]) func theSameBytesAfterKills(command: [String]) throws {
        let folder = try folder()
        if command.contains("made") {
            #expect(try CommandRun(["dus", "base", "--to", "12", "-o", "made"], in: folder.url).code == 0)
        }
        let arguments = command + ["-o", "out", "--force"]
        let start = ContinuousClock.now
        #expect(try CommandRun(arguments, in: folder.url).code == 0, "\(command)")
        var usual = ContinuousClock.now - start
        let expected = try folder.contents(of: "out")
        try FileManager.default.removeItem(at: folder.url.appending(path: "out"))
        var killed = 0
        for _ in 0..<Self.kills {
            let delay = usual * Double.random(in: 0...1)
            guard try runAndKill(arguments, after: delay, in: folder) else {
                // The first run took longer than those that came behind it.
                usual /= 2
                continue
            }
            killed += 1
            // Whole or absent, and the source as it was.
            let names = try folder.names().filter { !$0.hasPrefix(".") }
            #expect(Set(names).isSubset(of: ["base", "quantized", "made", "out"]))
            if names.contains("out") { #expect(try folder.contents(of: "out") == expected) }
        }
        #expect(killed > 0)
        let run = try CommandRun(arguments, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.contents(of: "out") == expected)
        #expect(try folder.names().allSatisfy { !$0.hasPrefix(".") })
    }

    /// EEVE's seven stages on a model that was made for them: killed anywhere in them, the run goes on to the same bytes.
    @Test func aHealingOfSevenStagesEndsWithTheSameBytes() throws {
        let folder = try folder()
        let grown = try CommandRun(["resize-vocab", "base", "--size", "1044", "-o", "made"], in: folder.url)
        #expect(grown.code == 0, "\(grown.messages)")
        let data = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Examples/data/korean.val.jsonl").standardized.path()
        let groups = [
            #""new-input-rows: rate=1", "rest: freeze""#, #""new-output-rows: rate=1", "rest: freeze""#,
            #""new-rows: rate=1", "rest: freeze""#, #""head: rate=1", "rest: freeze""#,
            #""new-input-rows: rate=1", "head: rate=1", "rest: freeze""#, "",
            #""embeddings: freeze", "head: freeze""#,
        ]
        let arguments =
            [
                "heal", "made", "--data", data, "--steps", "3", "--batch", "1", "--length", "32", "--lr",
                "1e-3",
                "--checkpoint-every", "2", "-o", "out", "--stages",
            ] + groups.map { "groups: [\($0)]" }
        let made = try folder.contents(of: "made")
        let start = ContinuousClock.now
        let straight = try CommandRun(arguments, of: "trainer", in: folder.url)
        #expect(straight.code == 0, "\(straight.messages)")
        let usual = ContinuousClock.now - start
        let expected = try folder.contents(of: "out")
        try FileManager.default.removeItem(at: folder.url.appending(path: "out"))
        var killed = 0
        for _ in 0..<Self.kills where try !folder.names().contains("out") {
            let delay = usual * Double.random(in: 0.1...0.6)
            if try runAndKill(arguments + ["--resume"], of: "trainer", after: delay, in: folder) {
                killed += 1
            }
        }
        #expect(killed > 0)
        let run = try CommandRun(arguments + ["--resume"], of: "trainer", in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.contents(of: "out") == expected && folder.contents(of: "made") == made)
        #expect(try folder.names().allSatisfy { !$0.hasPrefix(".") })
    }

    /// Runs a command and kills it; false when it had come to its end before.
    private func runAndKill(
        _ arguments: [String], of command: String = "surgery", after delay: Duration,
        in folder: ModelFolder
    ) throws -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: command)
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        let seconds = Double(delay.components.seconds) + Double(delay.components.attoseconds) * 1e-18
        usleep(UInt32(seconds * 1e6))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal
    }
}
