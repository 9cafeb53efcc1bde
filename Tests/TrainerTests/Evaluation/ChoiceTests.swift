import Formats
import Foundation
import Models
import TestSupport
import Testing

@testable import Trainer

/// Questions with choices beside lm-evaluation-harness: see `Fixtures/README.md`.
@Suite struct ChoiceTests {
    private let questions: String
    private let expected: JSON

    init() throws {
        questions = try fixture("choices/questions.jsonl")
        expected = try JSON.read(path: fixture("choices/expected.json"))
    }

    /// A model of the fixtures; `base-plain` has a tokenizer that puts nothing before a text.
    private func model(_ name: String, in folder: TemporaryFolder) throws -> String {
        if name == "llama" { return try fixture("choices/llama") }
        guard name == "base-plain" else { return example("base") }
        let copy = try folder.copy(of: example("base"), as: name)
        var tokenizer = try JSON.read(path: copy + "/tokenizer.json")
        tokenizer["post_processor"] = .null
        try folder.write(name + "/tokenizer.json", Data(tokenizer.serialized(indent: nil)))
        return copy
    }

    private func encoder(_ name: String, in folder: TemporaryFolder) throws -> ContinuationEncoder {
        let model = try PretrainedModel.open(model(name, in: folder))
        return ContinuationEncoder(
            try model.tokenizer(), start: 1, vocabularySize: model.architecture.vocabularySize,
            maximumLength: model.architecture.maximumLength)
    }

    @Test(arguments: ["llama", "base", "base-plain"]) func decidesAsTheHarness(name: String) throws {
        let folder = try TemporaryFolder()
        var request = EvaluationRequest(model: try model(name, in: folder), threads: 2)
        request.choices = [("questions", questions)]
        var warnings: [String] = []
        let outcome = try request.run(warn: { warnings.append($0) })
        let decisions = try #require(outcome.tasks.first).decisions
        let reference = try #require(expected[name])
        #expect(decisions.count == 12 && decisions.map(\.line) == Array(1...12))
        for (decision, sums) in zip(decisions, reference["log_likelihoods"]?.array ?? []) {
            let sums = sums.array?.compactMap(\.double) ?? []
            #expect(decision.logLikelihoods.count == sums.count)
            for (own, other) in zip(decision.logLikelihoods, sums) { #expect(abs(own - other) < 1e-3) }
        }
        #expect(decisions.map(\.chosen) == reference["choice"]?.array?.compactMap(\.int))
        #expect(decisions.map(\.chosenByCharacter) == reference["choice_norm"]?.array?.compactMap(\.int))
        let result = outcome.choices[0].result
        for (own, key) in [
            (result.accuracy, "acc"), (result.normalizedAccuracy, "acc_norm"),
            (result.standardError, "acc_stderr"),
        ] { #expect(abs(own - (try #require(reference[key]?.double))) < 1e-12) }
        #expect(warnings.contains { $0.contains("4 of 33 choices") } == (name == "llama"))
    }

    /// Rows that are longer than the windows of texts change nothing of these.
    @Test func textsAndChoicesTogetherAreWhatTheyAreAlone() throws {
        let text = example("data/korean.val.jsonl")
        var request = EvaluationRequest(
            model: example("base"), sets: [("ko", text)], length: 24, threads: 2)
        let alone = try request.run().sets[0].result
        request.choices = [("questions", questions)]
        let both = try request.run()
        request.sets = []
        let choices = try request.run()
        #expect(abs(both.sets[0].result.loss - alone.loss) < 1e-6)
        #expect(both.sets[0].result.tokens == alone.tokens)
        #expect(both.sets[0].result.endOfText?.documents == alone.endOfText?.documents)
        #expect(both.tasks[0].decisions.map(\.chosen) == choices.tasks[0].decisions.map(\.chosen))
    }

    /// White space at the end of a context counts as at the start of the choice.
    @Test(arguments: ["base", "base-plain"]) func spaceBelongsToWhatFollows(name: String) throws {
        let folder = try TemporaryFolder()
        let encoder = try encoder(name, in: folder)
        let (before, behind) = try (
            encoder.encode("The sheet", " has rows"), encoder.encode("The sheet ", "has rows")
        )
        #expect(before.tokens == behind.tokens && before.count == behind.count)
        #expect("a \u{A0}\u{1F}\n".withoutTrailingSpace == "a" && " \t".withoutTrailingSpace.isEmpty)
        guard name == "base-plain" else {
            #expect(try encoder.encode(" ", "a").count == encoder.encode(" ", "a").tokens.count - 1)
            return
        }
        #expect(throws: ContinuationEncoder.Fault.noContext) { try encoder.encode(" \n", "a") }
    }

    @Test func cutsContextsAndRefusesChoicesThatAreTooLong() throws {
        let folder = try TemporaryFolder()
        let encoder = try encoder("llama", in: folder)
        let long = String(repeating: "cells and rows ", count: 40)
        let text = try encoder.encode(long, " end")
        #expect(text.tokens.count == 49 && text.cut > 0)
        #expect {
            try encoder.encode("a", long)
        } throws: { error in
            guard case .tooLong(let count) = error as? ContinuationEncoder.Fault else { return false }
            return count > 48
        }
    }

    @Test func oneItemHasNoStandardError() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "one.jsonl", #"{"context": "a", "choices": [" b", " c"], "answer": 0}"#)
        var request = EvaluationRequest(model: example("base"), threads: 1)
        request.choices = [("one", path)]
        let result = try request.run().choices[0].result
        #expect(result.items == 1 && result.standardError.isNaN)
        #expect(try JSON(encoding: result)["acc_stderr"] == .null)
    }

    @Test(arguments: [
        ("[1]", "it is an array"), ("7", "it is the number 7"),
        (#"{"choices": ["a", "b"], "answer": 0}"#, #"it has no "context""#),
        (#"{"context": 1, "choices": ["a", "b"], "answer": 0}"#, #"its "context" is the number 1"#),
        (#"{"context": "", "choices": "a", "answer": 0}"#, #"its "choices" are the string "a""#),
        (#"{"context": "", "choices": ["a", 2], "answer": 0}"#, "its choice 1 is the number 2"),
        (#"{"context": "", "choices": ["a", ""], "answer": 0}"#, "its choice 1 is empty"),
        (#"{"context": "", "choices": ["a"], "answer": 0}"#, "it has one choice"),
        (#"{"context": "", "choices": [], "answer": 0}"#, "it has no choice"),
        (#"{"context": "", "choices": ["a", "b"]}"#, #"it has no "answer""#),
        (#"{"context": "", "choices": ["a", "b"], "answer": "A"}"#, #"its "answer" is the string "A""#),
        (
            #"{"context": "", "choices": ["a", "b"], "answer": 2}"#,
            #"its "answer" is 2, and its choices are 0 to 1"#
        ),
        (
            #"{"context": "", "choices": ["a", "b"], "answer": -1}"#,
            #"its "answer" is -1, and its choices are 0 to 1"#
        ),
    ])
    func namesTheLine(line: String, found: String) throws {
        let folder = try TemporaryFolder()
        let good = #"{"context": "", "choices": ["a", "b"], "answer": 1}"#
        let path = try folder.write("bad.jsonl", good + "\n\n" + line + "\n")
        #expect(throws: UserFacingError.badChoices(path: path, line: 3, found: found)) {
            try ChoiceItem.read(path)
        }
    }

    @Test func namesWhatIsNoLineOfJSON() throws {
        let folder = try TemporaryFolder()
        let broken = try folder.write("broken.jsonl", "{\"context\": \n")
        #expect {
            try ChoiceItem.read(broken)
        } throws: { "\($0)".contains("broken.jsonl, line 1: it is not JSON") }
        let twice = try folder.write("twice.jsonl", #"{"answer": 0, "answer": 1}"#)
        #expect { try ChoiceItem.read(twice) } throws: {
            "\($0)".contains("line 1") && "\($0)".contains("twice")
        }
        let empty = try folder.write("empty.jsonl", "\n \n")
        #expect(throws: UserFacingError.noChoices(path: empty)) { try ChoiceItem.read(empty) }
        let text = try folder.write("text.txt", "a")
        #expect(throws: UserFacingError.notJSONLines(path: text)) { try ChoiceItem.read(text) }
    }
}
