import Formats
import Testing

@testable import Trainer

@Suite struct GeneratorTests {
    private static let prompts = [
        "The ", "A file that was written once is read many times, and so", "한국어 문장을 ", "x", "To see what",
    ]

    private func generator(threads: Int = 2) throws -> Generator {
        try Generator(.open(example("base")), threads: threads)
    }

    /// As many as there are, each as if it were alone; what is told on the way is the text.
    @Test(arguments: [Sampling(), Sampling(temperature: 1.1, topP: 0.95, seed: 7)])
    func promptsAtOnceAreAsAlone(_ sampling: Sampling) throws {
        let generator = try generator()
        let many = (0..<4).flatMap { _ in Self.prompts }  // more than go on at once
        var told = [String](repeating: "", count: many.count)
        let together = try generator.generate(
            many.map { GenerationPrompt($0) }, sampling: sampling, maximumTokens: 24,
            notify: { told[$0] += $1 })
        #expect(told == together.map(\.text))
        #expect(together.contains { $0.tokens.count == 24 && $0.stop == .tokens })
        for number in Self.prompts.indices {
            let alone = try generator.generate(
                [GenerationPrompt(Self.prompts[number])], sampling: sampling, maximumTokens: 24)
            if sampling.temperature == 0 || number == 0 { #expect(alone[0] == together[number]) }
        }
        if sampling.temperature == 0 {
            #expect(Array(together[0..<5]) == Array(together[15..<20]))
        } else {
            #expect(together[0].tokens != together[5].tokens)
        }
    }

    /// The text is the tokenizer's own of all tokens, behind the prompt.
    @Test func textIsThatOfTheTokens() throws {
        let tokenizer = try Tokenizer.open(example("base"))
        let results = try generator().generate(
            Self.prompts.map { GenerationPrompt($0) }, sampling: Sampling(temperature: 1.5, seed: 3),
            maximumTokens: 40)
        for (prompt, result) in zip(Self.prompts, results) {
            let all = tokenizer.decode(result.promptTokens + result.tokens, skipSpecialTokens: true)
            #expect(all == prompt + result.text)
        }
    }

    @Test func endsAsTold() throws {
        let generator = try generator()
        let result = try generator.generate([GenerationPrompt("The ", characters: 10)])[0]
        #expect(result.stop == .characters && result.text.unicodeScalars.count >= 10)
        #expect(result.tokens.count <= 10)
        #expect(try generator.generate([GenerationPrompt("The ", characters: 0)])[0].tokens.isEmpty)
        // The example was made for 512 tokens.
        let long = String(repeating: "word and ", count: 200)
        let tokens = try Tokenizer.open(example("base")).encode(long)
        #expect(tokens.count > 512)
        let text = try Tokenizer.open(example("base")).decode(Array(tokens.prefix(500)))
        let last = try generator.generate([GenerationPrompt(text)], maximumTokens: 100)[0]
        #expect(last.stop == .length || last.stop == .endOfText)
        #expect(last.promptTokens.count + last.tokens.count <= 512)
        #expect(throws: UserFacingError.self) { try generator.generate([GenerationPrompt(long)]) }
    }

    /// What stands in config.json and generation_config.json alike, and the tokenizer's own where neither says any.
    @Test(
        arguments: [
            ("[2, 5]", nil, [2, 5]), ("2", "[7, 8]", [2, 7, 8]), (nil, "9", [9]), (nil, nil, [2]),
        ] as [(String?, String?, Set<Int32>)])
    func everyEndEnds(configuration: String?, generation: String?, expected: Set<Int32>) throws {
        var folder = try Checkpoint.openWithoutWeights(example("base"))
        folder.configuration?["eos_token_id"] = try configuration.map { try json($0) }
        folder.auxiliaryFiles.removeAll { $0.name == "generation_config.json" }
        if let generation {
            folder.auxiliaryFiles.append(
                AuxiliaryFile(
                    name: "generation_config.json",
                    content: .bytes(Array("{\"eos_token_id\": \(generation)}".utf8))))
        }
        let ends = try DocumentLayout.ends(in: folder, tokenizer: Tokenizer.open(example("base")))
        #expect(ends == expected)
    }

    private func json(_ text: String) throws -> JSON { try JSON(parsing: Array(text.utf8), file: "a test") }

    /// A character of several tokens comes whole, and what never becomes one comes at the end.
    @Test(arguments: ["한국어 👩‍👩‍👧 naïve 𝄞", "plain", "\u{1F600}\u{1F600}"])
    func charactersAreNotCut(text: String) throws {
        let tokenizer = try Tokenizer.open(example("blank"))
        var stream = TextStream(tokenizer, after: try tokenizer.encode("a"))
        var pieces: [String] = []
        for token in try tokenizer.encode(text, addSpecialTokens: false) {
            pieces.append(stream.append(token))
        }
        #expect(pieces.allSatisfy { !$0.contains("\u{FFFD}") })
        pieces.append(stream.finish())
        #expect(pieces.joined() == text && stream.text == text)
    }
}
