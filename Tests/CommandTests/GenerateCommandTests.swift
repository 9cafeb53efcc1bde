import Formats
import Foundation
import TestSupport
import Testing

@Suite("trainer generate")
struct GenerateCommandTests {
    private let temporary: TemporaryFolder
    private static let base = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Examples/base").standardized.path()

    init() throws { temporary = try TemporaryFolder() }

    private func generate(_ arguments: String..., input: FileHandle = .nullDevice) throws -> CommandRun {
        try CommandRun(
            ["generate", Self.base, "--max-tokens", "12"] + arguments, of: "trainer", in: temporary.url,
            input: input)
    }

    /// Standard output is the text; the same in JSON, beside others, and from a pipe.
    @Test func textsAreTheSameHoweverAskedFor() throws {
        let alone = try generate("--prompt", "The file ")
        #expect(alone.code == 0 && alone.messages.contains("12 tokens, stopped by --max-tokens"))
        #expect(alone.output.hasSuffix("\n"))
        let text = String(alone.output.dropLast())

        let json = try generate("--prompt", "The file ", "--prompt", "한국어 ", "--json")
        #expect(json.code == 0 && json.messages.isEmpty)
        let object = try json.json()
        #expect(object.object?.keys == ["prompts", "tokens_per_second", "prompt_tokens_per_second"])
        let first = try #require(object["prompts"]?.array?.first)
        #expect(first.object?.keys == ["prompt", "text", "prompt_tokens", "tokens", "stop"])
        #expect(first["text"]?.string == text && first["tokens"]?.array?.count == 12)
        #expect(first["prompt"] == "The file " && first["stop"] == "max_tokens")
        #expect(object["prompts"]?.array?.count == 2)

        try temporary.write("prompts.jsonl", "{\"text\": \"The file \"}\n{\"text\": \"한국어 \"}\n")
        let lines = try generate("--prompts", "prompts.jsonl")
        let texts = object["prompts"]?.array?.compactMap { $0["text"]?.string } ?? []
        #expect(lines.output == texts.map { JSON($0).text + "\n" }.joined())

        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("The file \n".utf8))
        try pipe.fileHandleForWriting.close()
        let piped = try generate("--prompts", "-", input: pipe.fileHandleForReading)
        #expect(piped.output == alone.output)
    }

    @Test func chanceFollowsFromTheSeed() throws {
        func text(_ seed: String) throws -> String {
            try generate("--prompt", "The ", "--temperature", "1.5", "--top-k", "200", "--seed", seed).output
        }
        #expect(try text("1") == text("1") && text("1") != text("2"))
    }

    @Test(
        arguments: [
            ([], "give a text with --prompt"), (["--prompt", "a", "--top-k", "3"], "need a --temperature"),
            (["--prompt", "a", "--temperature=-1"], "0 or more"),
            (["--prompt", "a", "--temperature", "1", "--top-p", "0"], "above 0"),
            (["--prompts", base], "is a model"),
        ] as [([String], String)])
    func badCommandLines(arguments: [String], message: String) throws {
        let run = try CommandRun(["generate", Self.base] + arguments, of: "trainer", in: temporary.url)
        #expect(run.code == 64 && run.messages.contains(message), "\(run.messages)")
    }

    @Test func badPrompts() throws {
        let long = try generate("--prompt", String(repeating: "word and ", count: 300))
        #expect(
            long.code == 64 && long.messages.contains("was made for sequences of 512") && long.output.isEmpty)
        let missing = try generate("--prompts", "nothing.jsonl")
        #expect(missing.code == 2 && missing.messages.contains("nothing.jsonl") && missing.output.isEmpty)
    }
}
