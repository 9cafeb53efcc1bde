import Formats
import Foundation
import TestSupport
import Testing

@Suite("trainer eval: choices and the parent") struct EvalTests {
    private let folder: TemporaryFolder
    private let questions: String

    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Examples").standardized.path()
    private static let base = examples + "/base"
    private static let korean = "ko=\(examples)/data/korean.val.jsonl"

    init() throws {
        folder = try TemporaryFolder()
        questions = try folder.write(
            "questions.jsonl",
            """
            {"context": "Click OK to close the", "choices": [" dialog.", " window of cells"], "answer": 0}
            {"context": "표의 행을 ", "choices": ["선택합니다.", "문서", "셀"], "answer": 0}

            """)
    }

    private func run(_ command: String, _ arguments: [String]) throws -> CommandRun {
        try CommandRun(arguments, of: command, in: folder.url)
    }

    private func eval(_ arguments: String...) throws -> CommandRun {
        try run("trainer", ["eval"] + arguments)
    }

    @Test func choicesAloneAndBesideText() throws {
        let alone = try eval(Self.base, "--choices", "q=questions.jsonl", "--json", "--items", "items.jsonl")
        #expect(alone.code == 0, "\(alone.messages)")
        let json = try alone.json()
        #expect(json.object?.keys == ["choices"])
        #expect(
            json["choices"]?["q"]?.object?.keys.sorted() == ["acc", "acc_norm", "acc_stderr", "items"])
        #expect(json["choices"]?["q"]?["items"] == 2)
        let lines = String(decoding: try folder.bytes("items.jsonl"), as: UTF8.self).split(separator: "\n")
        let second = try JSON(parsing: Array(lines[1].utf8), file: "")
        #expect(second["line"] == 2 && second["answer"] == 0)
        #expect(second["log_likelihoods"]?.array?.count == 3)
        let again = try eval(Self.base, "--choices", "q=questions.jsonl", "--items", "items.jsonl")
        #expect(again.code == 64 && again.messages.contains("--force to replace it"))
        let both = try eval(Self.base, "--choices", "questions.jsonl", "--data", Self.korean, "--json")
        #expect(try both.json().object?.keys.sorted() == ["choices", "sets"])
        #expect(try both.json()["choices"]?["questions.jsonl"] == json["choices"]?["q"])
        let table = try eval(Self.base, "--choices", "q=questions.jsonl")
        #expect(table.output.isEmpty && table.messages.contains("acc_norm"))
    }

    @Test func completionsAlone() throws {
        try folder.write("texts.jsonl", #"{"prompt": "Click OK to close the", "expected": " no such thing"}"#)
        let run = try eval(
            Self.base, "--completions", "texts=texts.jsonl", "--json", "--items", "items.jsonl")
        #expect(run.code == 0, "\(run.messages)")
        #expect(try run.json() == ["completions": ["texts": ["exact": 0, "items": 1]]])
        let item = try JSON(parsing: folder.bytes("items.jsonl"), file: "")
        #expect(item.object?.keys == ["set", "line", "expected", "text", "exact"])
        #expect(item["exact"] == false && item["text"]?.string?.isEmpty == false)
    }

    /// What a surgery was given, also where the result was trained since, and no longer when it has changed.
    @Test func theParentIsWhatTheManifestNames() throws {
        _ = try folder.copy(of: Self.base, as: "source")
        #expect(try run("surgery", ["expand", "source", "--to", "10", "-o", "deep"]).code == 0)
        let heal = [
            "heal", "deep", "--data", Self.korean, "--steps", "2", "--batch", "1", "--length", "16", "-o",
            "healed",
        ]
        #expect(try run("trainer", heal).code == 0)
        let named = try eval(
            "deep", "--data", Self.korean, "--choices", "q=questions.jsonl", "--parent", "source", "--json")
        #expect(named.code == 0, "\(named.messages)")
        let parent = try #require(try named.json()["parent"])
        #expect(parent["model"] == "source")
        // New layers compute nothing yet, so the parent is as good.
        let bits = try [named.json(), parent].map {
            try #require($0["sets"]?["ko"]?["bits_per_byte"]?.double)
        }
        #expect(abs(bits[0] - bits[1]) < 1e-6)
        #expect(try named.json()["choices"] == parent["choices"])
        for model in ["deep", "healed"] {
            let found = try eval(model, "--data", Self.korean, "--beside-parent", "--json")
            #expect(found.code == 0, "\(found.messages)")
            let other = try #require(try found.json()["parent"])
            #expect(other["model"]?.string?.hasSuffix("/source") == true, "\(model): \(other)")
            #expect(other["sets"]?["ko"] == parent["sets"]?["ko"])
        }
        let items = try eval(
            "deep", "--choices", "q=questions.jsonl", "--beside-parent", "--items", "items.jsonl")
        #expect(items.code == 0 && items.messages.contains("parent's acc"))
        let line = String(decoding: try folder.bytes("items.jsonl"), as: UTF8.self).split(separator: "\n")[0]
        #expect(try JSON(parsing: Array(line.utf8), file: "")["parent"]?["choice"]?.int != nil)

        var weights = try folder.bytes("source/model.safetensors")
        weights[weights.count - 1] ^= 1
        try folder.write("source/model.safetensors", weights)
        let changed = try eval("deep", "--data", Self.korean, "--beside-parent", "--json")
        #expect(changed.code == 0 && changed.messages.contains("another SHA-256"))
        #expect(try changed.json()["parent"] == .null)
        let none = try eval(Self.base, "--data", Self.korean, "--beside-parent")
        #expect(none.code == 0 && none.messages.contains("names no weights"), "\(none.messages)")
    }

    /// A parent that can't be evaluated costs its own figures, not the model's.
    @Test func aParentThatCannotBeEvaluated() throws {
        _ = try folder.copy(of: Self.base, as: "short")
        let text = String(decoding: try folder.bytes("short/config.json"), as: UTF8.self)
        try folder.write(
            "short/config.json",
            text.replacing(#/"max_position_embeddings": *[0-9]+/#, with: #""max_position_embeddings": 16"#))
        let run = try eval(
            Self.base, "--data", Self.korean, "--length", "32", "--parent", "short", "--json")
        #expect(
            run.code != 0 && run.messages.contains("the parent, which nothing is put beside"),
            "\(run.messages)")
        let json = try run.json()
        #expect((json["sets"]?["ko"]?["tokens"]?.int ?? 0) > 0 && json["parent"]?.isNull == true)
    }

    @Test(arguments: [
        (["--choices", "missing.jsonl"], 2, "missing.jsonl"),
        (["--choices", "@base"], 64, "name the model before the options"),
        (["--choices", "a=questions.jsonl", "a=questions.jsonl"], 64, "two sets are called 'a'"),
        (["--choices", "bad.jsonl"], 2, "bad.jsonl, line 2: its choice 1 is empty"),
        (["--data", "x.jsonl", "--items", "items"], 64, "--items goes with --choices and --completions"),
        (["--completions", "bad.jsonl"], 2, "bad.jsonl, line 1: it has no"),
        (["--ids", "x", "--choices", "questions.jsonl"], 64, "--ids alone"),
        (["--ids", "x", "--parent", "@base"], 64, "not with --ids"),
        (["--ids", "x", "--length", "9"], 64, "--length, --end-of-text and --no-end-of-text are of --data"),
        (["--ids", "x", "--plain-text"], 64, "how texts are read is of --data"),
        (["--choices", "questions.jsonl", "--no-end-of-text"], 64, "are of --data"),
        (["--choices", "questions.jsonl", "--nfc"], 64, "--skip-bad-lines are of --data"),
        (["--ids", "questions.jsonl", "--logits", "questions.jsonl"], 64, "or --force to replace it"),
        (["--choices", "-", "--parent", "@base"], 64, "read once"),
        (["--choices", "questions.jsonl", "--parent", "@base", "--beside-parent"], 64, "give one"),
        (["--choices", "questions.jsonl", "--parent", "nowhere"], 2, "nowhere"),
    ])
    func refuses(arguments: [String], code: Int, message: String) throws {
        try folder.write(
            "bad.jsonl",
            """
            {"context": "a", "choices": [" b", " c"], "answer": 0}
            {"context": "a", "choices": [" b", ""], "answer": 0}
            """)
        let run = try run(
            "trainer", ["eval", Self.base] + arguments.map { $0.replacing("@", with: Self.examples + "/") })
        #expect(run.code == code && run.messages.contains(message), "\(run.messages)")
    }
}
