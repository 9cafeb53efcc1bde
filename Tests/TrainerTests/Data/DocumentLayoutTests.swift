import Formats
import TestSupport
import Testing

@testable import Trainer

/// Where a document's start and end come from.
@Suite struct DocumentLayoutTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A tokenizer of five words, whose post-processor puts `template` around a text.
    private func model(
        config: String, template: [String] = ["A"], tokenizerConfig: String? = nil, map: String? = nil,
        generation: String? = nil
    ) throws {
        let items = template.map {
            $0 == "A"
                ? #"{"Sequence": {"id": "A", "type_id": 0}}"#
                : #"{"SpecialToken": {"id": "\#($0)", "type_id": 0}}"#
        }
        let specials = Set(template).subtracting(["A"]).sorted().map {
            #""\#($0)": {"id": "\#($0)", "ids": [\#(["<s>": 0, "</s>": 1, "<end>": 2][$0] ?? 3)], "tokens": ["\#($0)"]}"#
        }
        try folder.write(
            "tokenizer.json",
            """
            {"added_tokens": [
             {"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true},
             {"id": 2, "content": "<end>", "special": true}],
             "pre_tokenizer": {"type": "WhitespaceSplit"},
             "post_processor": {"type": "TemplateProcessing", "single": [\(items.joined(separator: ","))],
              "pair": [], "special_tokens": {\(specials.joined(separator: ","))}},
             "model": {"type": "WordLevel", "unk_token": "u",
              "vocab": {"<s>": 0, "</s>": 1, "<end>": 2, "u": 3, "a": 4, "b": 5}}}
            """)
        try folder.write("config.json", config)
        for (name, text) in [
            ("tokenizer_config.json", tokenizerConfig), ("special_tokens_map.json", map),
            ("generation_config.json", generation),
        ] {
            if let text { try folder.write(name, text) }
        }
    }

    private func found(
        _ endOfText: EndOfText = .ofModel, vocabularySize: Int? = 6
    ) throws -> (layout: DocumentLayout, notes: [String]) {
        let found = try DocumentLayout.found(
            in: Checkpoint.openWithoutWeights(folder.path), tokenizer: Tokenizer.open(folder.path),
            vocabularySize: vocabularySize, endOfText: endOfText)
        return (found.layout, found.notes)
    }

    @Test func takesTheTokenizersStartAndTheConfigurationsEnd() throws {
        try model(
            config: #"{"eos_token_id": 2, "bos_token_id": 3}"#,
            tokenizerConfig: #"{"bos_token": "<s>", "eos_token": {"content": "<end>"}}"#)
        let (layout, notes) = try found()
        #expect(layout.start == 0 && layout.end == 2 && notes.isEmpty)
        #expect(layout.document(ofText: [4, 5]) == [0, 4, 5, 2])
        #expect(layout.count(ofText: 2) == 4 && layout.count(ofText: 0) == 0)
    }

    @Test func withoutABeginningTokenTextsBeginWithTheTokenizersEnd() throws {
        try model(
            config: #"{"eos_token_id": 2}"#, template: ["<s>", "A"],
            tokenizerConfig: #"{"bos_token": null, "eos_token": "</s>"}"#)
        let (layout, notes) = try found()
        #expect(layout.start == 1 && layout.end == 2)
        #expect(notes.count == 1 && notes[0].contains("<end> (2, config.json)"), "\(notes)")
        #expect(notes[0].contains("also named are </s> (1, tokenizer_config.json)"))
    }

    @Test(arguments: [
        ["<s>", "A"], ["A"], ["<s>", "A", "<end>"], ["A", "</s>"], ["<s>", "<end>", "A", "</s>"],
    ])
    func nothingStandsThereTwice(_ template: [String]) throws {
        try model(
            config: #"{"eos_token_id": 2}"#, template: template,
            tokenizerConfig: #"{"bos_token": "<s>", "eos_token": "<end>"}"#)
        let (layout, _) = try found()
        let tokenizer = try Tokenizer.open(folder.path)
        for text in ["a b", "", "<s> a", "b <end>"] {
            let plain = try tokenizer.encode(text, addSpecialTokens: false)
            let own = try tokenizer.encode(text)
            #expect(Array(layout.text(in: own)) == plain && layout.textCount(of: own.count) == plain.count)
        }
    }

    @Test func whereNoFileNamesAStartItIsTheTokenizersOwn() throws {
        try model(config: #"{"eos_token_id": 2, "bos_token_id": 1}"#, template: ["<s>", "A"])
        #expect(try found().layout.start == 0)
        try model(config: #"{"eos_token_id": 2, "bos_token_id": 1}"#)
        #expect(try found().layout.start == 1)
        try model(config: #"{"eos_token_id": 2}"#)
        #expect(try found().layout.start == 2)
        try model(config: "{}", map: #"{"bos_token": "<s>", "eos_token": "</s>"}"#)
        #expect(try found().layout.start == 0 && found().layout.end == 1)
    }

    @Test func theFirstOfSeveralEndsIsTakenAndTheOthersAreNamed() throws {
        try model(
            config: #"{"eos_token_id": [2, 1]}"#,
            tokenizerConfig: #"{"bos_token": "<s>", "eos_token": "</s>"}"#,
            generation: #"{"eos_token_id": [2, 3, 1]}"#)
        let (layout, notes) = try found()
        #expect(layout.end == 2)
        #expect(
            notes == [
                """
                \(folder.path): texts end with <end> (2, config.json); also named are </s> (1, config.json), \
                u (3, generation_config.json), which --end-of-text would take
                """
            ])
        #expect(try found(.token("</s>")).layout.end == 1 && found(.token("</s>")).notes.isEmpty)
        #expect(try found(.token("3")).layout.end == 3)
        #expect(try found(.nothing).layout.end == nil && found(.nothing).layout.start == 0)
    }

    /// Of a model of more than text the end is the text model's where the whole names none.
    @Test func anEndInsideAWrapperIsFound() throws {
        try model(config: #"{"eos_token_id": null, "text_config": {"eos_token_id": 1}}"#)
        #expect(try found().layout.end == 1)
    }

    @Test func saysWhereTheEndIsNotTheConfigurations() throws {
        try model(config: "{}", tokenizerConfig: #"{"bos_token": "<s>", "eos_token": "</s>"}"#)
        let (layout, notes) = try found()
        #expect(layout.end == 1)
        #expect(notes.first?.contains("config.json has no eos_token_id, so texts end with </s> (1, ") == true)
    }

    @Test func warnsOfAModelWithoutAnEnd() throws {
        try model(config: #"{"eos_token_id": -1}"#, tokenizerConfig: #"{"bos_token": "<s>"}"#)
        let (layout, notes) = try found()
        #expect(layout.end == nil && layout.start == 0)
        #expect(notes.count == 1 && notes[0].contains("no token is named that ends a text"))
        try model(config: "{}", tokenizerConfig: "{}")
        let nothing = try found()
        #expect(nothing.layout.start == nil && nothing.notes.count == 2)
        #expect(nothing.layout.document(ofText: [4]) == [4])
    }

    @Test func refusesWhatIsNoToken() throws {
        try model(config: #"{"eos_token_id": 9}"#)
        let row = #expect(throws: UserFacingError.self) { try found() }
        #expect(row?.message.contains("a row of the embedding, 0 to 5") == true)
        let name = #expect(throws: UserFacingError.self) { try found(.token("<none>")) }
        #expect(name == .noSuchEnd(path: folder.path, token: "<none>"))
        #expect(throws: UserFacingError.self) { try found(.token("6")) }
        #expect(throws: UserFacingError.self) { try found(.token("-1")) }
    }
}
