import Formats
import Foundation
import TestSupport
import Testing

/// `--force` and an output that is one of the files which the command reads.
@Suite("An output among the inputs") struct OutputAmongInputsTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        let examples = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Examples")
            .standardized.path()
        _ = try folder.copy(of: "\(examples)/base", as: "base")
        for name in ["english", "korean"] {
            _ = try folder.copy(of: "\(examples)/data/\(name).val.jsonl", as: "\(name).jsonl")
        }
        try folder.write(
            "questions.jsonl", #"{"context": "Click", "choices": [" OK", " No"], "answer": 0}"#)
        try folder.write("texts.jsonl", #"{"prompt": "Click", "expected": " OK"}"#)
        try folder.write("parent.json", "{}")
        _ = try folder.copy(of: folder.path("korean.jsonl"), as: "korean.yaml")
        try #require(unsafe symlink(folder.path("questions.jsonl"), folder.path("link.jsonl")) == 0)
    }

    /// Each file with its bytes.
    private func contents() throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for name in try folder.names() + folder.names("base").map({ "base/\($0)" })
        where FileSystem.kind(of: folder.path(name)) == .file {
            contents[name] = try folder.bytes(name)
        }
        return contents
    }

    @Test(arguments: [
        "eval base --choices q=questions.jsonl --items questions.jsonl",
        "eval base --choices q=questions.jsonl --items link.jsonl",
        "eval base --completions t=texts.jsonl --items texts.jsonl",
        "eval base --choices q=questions.jsonl --data en=english.jsonl --items english.jsonl",
        "eval base --choices q=questions.jsonl --items base/config.json",
        "analyze base --data english.jsonl -o english.jsonl",
        "analyze base --data english.jsonl --svg english.jsonl",
        "analyze base --data english.jsonl -o base/tokenizer.json",
        "tokenize base english.jsonl -o base/model.safetensors",
        "report english.jsonl -o english.jsonl",
        "report english.jsonl --parent parent.json -o parent.json",
        """
        mix base --data ko=korean.yaml --replay en=english.jsonl --eval ko=korean.jsonl en=english.jsonl --budget 100000 \
        -o korean.yaml
        """,
    ]) func isRefused(line: String) throws {
        let before = try contents()
        #expect(before.count > 8)
        let run = try CommandRun(
            line.split(separator: " ").map(String.init) + ["--force"], of: "trainer", in: folder.url)
        #expect(
            run.code == 64 && run.messages.contains("is one of the files that are read"), "\(run.messages)")
        #expect(try contents() == before)
    }

    /// Beside the model's own files there is room for what is made of it, again and again.
    @Test func scoresMayLieInTheModel() throws {
        for _ in 0..<2 {
            let run = try CommandRun(
                [
                    "analyze", "base", "--data", "english.jsonl", "--no-losses", "--tokens", "64", "-o",
                    "base/scores.json", "--force",
                ],
                of: "trainer", in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
        }
    }
}
