import Formats
import TestSupport
import Testing

@testable import Trainer

/// Texts to complete beside what the generator makes of them, which is compared with transformers.
@Suite struct CompletionTests {
    @Test func countsWhatIsGenerated() throws {
        let folder = try TemporaryFolder()
        let prompts = ["Click OK to close the", "표의 행을"]
        let generator = try Generator(PretrainedModel.open(example("base")), threads: 2)
        let made = try generator.generate(prompts.map { GenerationPrompt($0, characters: 40) }).map(\.text)
        let expected = made.map { String($0.unicodeScalars.prefix(20)) }
        func line(_ prompt: String, _ text: String) -> String {
            let json: JSON = ["prompt": .string(prompt), "expected": .string(text)]
            return String(decoding: json.serialized(indent: nil), as: UTF8.self) + "\n"
        }
        // White space around does not count; another character does.
        let lines = [
            line(prompts[0], expected[0]), line(prompts[1], " \n" + expected[1] + " "),
            line(prompts[0], expected[0] + "#"),
        ]
        let path = try folder.write("texts.jsonl", lines.joined())
        var request = EvaluationRequest(model: example("base"), threads: 2)
        request.completions = [("texts", path)]
        let outcome = try request.run()
        #expect(outcome.completions[0].texts.map(\.isExact) == [true, true, false])
        #expect(outcome.completed[0].result.items == 3)
        #expect(abs(outcome.completed[0].result.exact - 2.0 / 3) < 1e-12)
        #expect(outcome.sets.isEmpty && outcome.tasks.isEmpty)
    }

    @Test func takesAsManyCharactersAsAreExpected() {
        let item = CompletionItem(prompt: "The capital of Korea is", expected: " Seoul", line: 1)
        #expect(Completion(item, generated: "\n Seoul, a city").isExact)
        #expect(Completion(item, generated: "Seoul").isExact)
        #expect(Completion(item, generated: "Seou").text == "Seou")
        #expect(!Completion(item, generated: "Seou l").isExact && !Completion(item, generated: "").isExact)
        #expect(item.request.characters == 13)
    }

    @Test(arguments: [
        ("3", "it is the number 3"), (#"{"prompt": "a"}"#, #"it has no "expected""#),
        (#"{"prompt": 1, "expected": "a"}"#, #"its "prompt" is the number 1"#),
        (#"{"prompt": "a", "expected": " "}"#, #"its "expected" is empty"#),
    ])
    func namesTheLine(line: String, found: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("bad.jsonl", #"{"prompt": "a", "expected": "b"}"# + "\n" + line)
        #expect(throws: UserFacingError.badCompletion(path: path, line: 2, found: found)) {
            try CompletionItem.read(path)
        }
    }
}
