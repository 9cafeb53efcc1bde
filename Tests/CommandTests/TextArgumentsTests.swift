import Formats
import Foundation
import TestSupport
import Testing

/// How files of text are named on the command line, alike in every command that reads some.
@Suite("Files of text as arguments")
struct TextArgumentsTests {
    private let folder: TemporaryFolder
    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Examples").standardized.path()

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("a.jsonl", "{\"text\":\"a good text\"}\n{\"text\":\"second\"}\n")
    }

    private func run(_ arguments: String..., command: String = "trainer", input: String? = nil) throws
        -> CommandRun
    {
        let pipe = Pipe()
        if let input { pipe.fileHandleForWriting.write(Data(input.utf8)) }
        try pipe.fileHandleForWriting.close()
        return try CommandRun(
            arguments.map { $0.replacing("@", with: Self.examples + "/") }, of: command, in: folder.url,
            input: pipe.fileHandleForReading)
    }

    @Test func standardInputIsRead() throws {
        let file = try run("tokenize", "@base", "a.jsonl", "--ids")
        let text = "{\"text\":\"a good text\"}\n{\"text\":\"second\"}\n"
        #expect(try run("tokenize", "@base", "-", "--ids", input: text).output == file.output)
        #expect(file.output.split(separator: "\n").count == 2)
        // Without a name, what does not begin as JSON is one text.
        let whole = try run("tokenize", "@base", "-", "--ids", input: "a good\ntext\n")
        #expect(whole.code == 0 && whole.output.split(separator: "\n").count == 1)
        let twice = try run("eval", "@base", "--data", "x=-", "y=-", "--length", "16", input: text)
        #expect(twice.code == 2 && twice.messages.contains("named twice"))
        let nothing = try run("tokenize", "@base", "-")
        #expect(nothing.code == 2 && nothing.messages.contains("no text in it"))
    }

    @Test func optionsOfReadingGoForEveryCommand() throws {
        try folder.write("b.jsonl", "{\"body\":\"\u{1112}\u{1161}\u{11AB} text text text\"}\nbad\n")
        let options = ["--text-key", "body", "--nfc", "--skip-bad-lines", "--plain-text"]
        for arguments in [
            ["trainer", "tokenize", "@base", "b.jsonl"],
            ["trainer", "eval", "@base", "--data", "b.jsonl", "--length", "16"],
            [
                "trainer", "heal", "@base", "--data", "b.jsonl", "--steps", "1", "--batch", "1", "--length",
                "16", "-o", "h",
            ],
            [
                "surgery", "resize-vocab", "@base", "--learn", "1", "--corpus", "b.jsonl",
                "@data/korean.val.jsonl", "-o", "r",
            ],
        ] {
            let run = try CommandRun(
                (arguments.dropFirst() + options).map { $0.replacing("@", with: Self.examples + "/") },
                of: arguments[0], in: folder.url)
            #expect(run.messages.contains("passed over that can't be used"), "\(arguments): \(run.messages)")
            #expect(run.messages.contains("1 Hangul syllable in parts (NFD) composed"), "\(run.messages)")
            #expect(run.code == 0, "\(run.messages)")
        }
    }

    @Test func namesWeightsAndPathsAreToldApart() throws {
        try folder.makeFolder("year=2024")
        try folder.write("year=2024/x.jsonl", "{\"text\":\"by year\"}\n")
        try folder.write("odd:0.5", "")
        let sets = try run(
            "eval", "@base", "--data", "a.jsonl", "en=a.jsonl", "year=2024/x.jsonl", "y=year=2024/*.jsonl",
            "--length", "16", "--json")
        #expect(
            try sets.json()["sets"]?.object?.keys.sorted() == ["a.jsonl", "en", "y", "year=2024/x.jsonl"])
        let heal = try run(
            "heal", "@base", "--data", "ko=a.jsonl:0.75", "year=2024/x.jsonl:0.25", "--steps", "1",
            "--dry-run")
        #expect(heal.code == 0, "\(heal.messages)")
        let twice = try run("heal", "@base", "--data", "a.jsonl", "a.jsonl:0.5", "--steps", "1")
        #expect(twice.code == 64 && twice.messages.contains("two sources are called 'a.jsonl'"))
        let missing = try run("heal", "@base", "--data", "C:\\texts\\a.jsonl:0.5", "--steps", "1", "-o", "h")
        #expect(
            missing.code == 2 && missing.messages.contains("cannot open C:\\texts\\a.jsonl: No such file"))
        let swapped = try run("heal", "--data", "a.jsonl", "@base", "--steps", "1")
        #expect(
            swapped.code == 64
                && swapped.messages.contains("is a model's folder where files of text or a list are expected")
        )
    }

    @Test func controlTokensAreReportedAndAvoided() throws {
        let special = try #require(
            try JSON.read(path: Self.examples + "/base/tokenizer.json")["added_tokens"]?.array?
                .first { $0["special"]?.bool == true }?["content"]?.string)
        try folder.write("c.jsonl", (["text": .string("a\(special)b")] as JSON).serialized(indent: nil))
        let plain = try run("tokenize", "@base", "c.jsonl", "--ids", "--plain-text")
        let control = try run("tokenize", "@base", "c.jsonl", "--ids")
        #expect(
            control.messages.contains(
                "the texts spell out 1 control token (\(special) 1), which are encoded as such"))
        #expect(plain.messages.contains("which are encoded as text"))
        #expect(plain.output.split(separator: " ").count > control.output.split(separator: " ").count)
        #expect(try run("tokenize", "@base", "c.jsonl", "--json").json()["control_tokens"] == 1)
    }
}
