import Testing

@testable import Formats

/// A tokenizer.json in one line, with `changes` in place of its parts.
private func tokenizer(_ changes: String...) throws(UserFacingError) -> Tokenizer {
    var json: JSON = [
        "added_tokens": [["id": 4, "content": "<s>", "special": true]],
        "model": ["type": "BPE", "vocab": ["a": 0, "b": 1, "ab": 2, "c": 3], "merges": [["a", "b"]]],
    ]
    for change in changes {
        let part = try JSON(parsing: Array(change.utf8), file: "test")
        for (key, value) in part.object ?? JSONObject() { merge(value, into: &json, at: key) }
    }
    return try Tokenizer(json: json, file: "t.json")
}

private func merge(_ value: JSON, into json: inout JSON, at key: String) {
    guard case .object(let members) = value, var inner = json[key], inner.object != nil, key == "model" else {
        json[key] = .some(value)
        return
    }
    for (key, value) in members { inner[key] = .some(value) }
    json[key] = inner
}

@Suite struct TokenizerErrors {
    @Test func theUnchangedOneWorks() throws {
        let tokenizer = try tokenizer()
        #expect(try tokenizer.encode("abc<s>") == [2, 3, 4])
        #expect(tokenizer.largestID == 4)
        #expect(tokenizer.id(of: "ab") == 2)
        #expect(tokenizer.id(of: "<s>") == 4)
        #expect(tokenizer.id(of: "x") == nil)
        #expect(tokenizer.token(of: 3) == "c")
        #expect(tokenizer.token(of: 5) == nil)
        #expect(tokenizer.token(of: -1) == nil)
    }

    @Test(
        arguments: [
            (
                #"{"model":{"vocab":{"a":0,"b":1,"ab":2,"c":2}}}"#,
                #"t.json: the tokens "ab" and "c" have the same id 2; give one another id"#
            ),
            (
                #"{"model":{"vocab":{"a":0,"b":1,"ab":3,"c":9}}}"#,
                "t.json: no token has the id 2, although the ids of the 5 tokens go up to 9; ids must be 0 to 4"
            ),
            (
                #"{"added_tokens":[{"id":3,"content":"<s>"}]}"#,
                #"t.json: the tokens "c" and "<s>" have the same id 3; give one another id"#
            ),
            (
                #"{"added_tokens":[{"id":4,"content":"c"}]}"#,
                #"t.json: the added token "c" has the id 4, but 3 in the vocabulary; make them the same"#
            ),
            (
                #"{"model":{"vocab":{"a":0.5}}}"#,
                "t.json: model.vocab.a is the number 0.5, expected a token id (0 to 2147483647)"
            ),
            (
                #"{"model":{"vocab":{"a":-1}}}"#,
                "t.json: model.vocab.a is the number -1, expected a token id (0 to 2147483647)"
            ),
            (
                #"{"model":{"merges":[["a","b"],["a","z"]]}}"#,
                #"t.json: model.merges[1] (a z) needs the piece "z", which is not in the vocabulary"#
            ),
            (
                #"{"model":{"merges":["b c"]}}"#,
                #"t.json: model.merges[0] (b c) needs the piece "bc", which is not in the vocabulary"#
            ),
            (
                #"{"model":{"merges":["a b c"]}}"#,
                #"t.json: model.merges[0] is the string "a b c", expected two pieces"#
            ),
            (#"{"model":{"merges":null}}"#, "t.json: model.merges is null, expected an array of merges"),
            (
                #"{"model":{"unk_token":"<unk>"}}"#,
                #"t.json: model.unk_token names the token "<unk>", which does not exist"#
            ),
            (
                #"{"model":{"dropout":0.1}}"#,
                "t.json: model.dropout is random merging (a dropout of the number 0.1), which is not supported"
            ),
            (
                #"{"model":{"type":"Bigram"}}"#,
                #"t.json: model is the model "Bigram", which is not supported"#
            ),
            (
                #"{"model":{"type":"Unigram","vocab":[["a",0],["b",-1],["a",-2],["c",0]],"unk_id":0}}"#,
                #"t.json: model.vocab[2] is the token "a", as model.vocab[0] is; remove one"#
            ),
            (
                #"{"model":{"type":"Unigram","vocab":[["a",0],["b",-1],["d",-2],["c"]],"unk_id":0}}"#,
                "t.json: model.vocab[3] is an array, expected a piece and its score"
            ),
            (
                #"{"model":{"type":"Unigram","vocab":[["a",0],["b",-1],["d",-2],["c",1]],"unk_id":4}}"#,
                "t.json: model.unk_id is the number 4, expected the id of one of the 4 pieces"
            ),
            (
                #"{"model":{"type":"WordPiece","unk_token":"u"}}"#,
                #"t.json: model.unk_token names the token "u", which does not exist"#
            ),
            (
                #"{"model":{"type":"WordPiece","unk_token":"a"}}"#,
                "t.json: model.continuing_subword_prefix is missing, expected a string"
            ),
            (
                #"{"pre_tokenizer":{"type":"FixedLength","length":0}}"#,
                "t.json: pre_tokenizer.length is the number 0, expected a whole number from 1"
            ),
            (#"{"model":null}"#, "t.json: model.type is missing, expected a string"),
            (
                #"{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Scripts"}]}}"#,
                "t.json: pre_tokenizer.pretokenizers[0] is the pre-tokenizer \"Scripts\", which is not "
                    + "supported"
            ),
            (
                #"{"normalizer":{"type":"Append"}}"#,
                #"t.json: normalizer is the normalizer "Append", which is not supported"#
            ),
            (
                #"{"normalizer":{"type":"Precompiled","precompiled_charsmap":"?"}}"#,
                #"t.json: normalizer.precompiled_charsmap is the string "?", expected text in Base64"#
            ),
            (
                #"{"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////wAA"}}"#,
                "t.json: normalizer.precompiled_charsmap is the string \"/////wAA\", expected a table of "
                    + "SentencePiece, its size first"
            ),
            (
                #"{"decoder":{"type":"Other"}}"#,
                #"t.json: decoder is the decoder "Other", which is not supported"#
            ),
            (
                #"{"decoder":{"type":"CTC","pad_token":"","word_delimiter_token":"|","cleanup":true}}"#,
                #"t.json: decoder.pad_token is the string "", expected a text that is not empty"#
            ),
            (
                #"{"post_processor":{"type":"Other"}}"#,
                #"t.json: post_processor is the post-processor "Other", which is not supported"#
            ),
            (
                #"""
                {"post_processor":{"type":"Sequence","processors":[{"type":"BertProcessing","cls":["a",0],"sep":\#
                ["b",1]},{"type":"BertProcessing","cls":["a",0],"sep":["b",1]}]}}
                """#,
                "t.json: post_processor.processors[1] is a second post-processor that adds tokens, which is not "
                    + "supported"
            ),
            (
                #"{"post_processor":{"type":"BertProcessing","cls":["<s>",4],"sep":["c",2]}}"#,
                #"t.json: post_processor.sep[0] says that "c" has the id 2, which is another token's or none's"#
            ),
            (
                #"{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}}"#,
                "t.json: the pattern ( can't be used: end pattern with unmatched parenthesis"
            ),
            (
                #"{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x"},"behavior":"Glued"}}"#,
                "t.json: pre_tokenizer.behavior is the string \"Glued\", expected Removed, Isolated, "
                    + "MergedWithPrevious, MergedWithNext, Contiguous"
            ),
            (
                #"{"pre_tokenizer":{"type":"Metaspace","replacement":"__"}}"#,
                #"t.json: pre_tokenizer.replacement is the string "__", expected one character"#
            ),
        ])
    func whatIsWrongIsNamed(_ change: String, _ message: String) {
        let error = #expect(throws: UserFacingError.self) { try tokenizer(change) }
        #expect(error?.description == message)
        #expect(error?.fault == .input)
    }

    @Test(arguments: [
        (#"{"model":{"type":"Unigram","vocab":[["a",0],["b",-1],["d",-2],["c",1]]}}"#, "model.unk_id"),
        (#"{"model":{"type":"WordLevel","unk_token":"[UNK]"}}"#, "model.unk_token"),
    ])
    func aTextWithoutTokensIsAnErrorWhereNoneStandsForTheUnknown(_ change: String, _ key: String) throws {
        let tokenizer = try tokenizer(change)
        #expect(try tokenizer.encode("a<s>") == [0, 4])
        let error = #expect(throws: UserFacingError.self) { try tokenizer.encode("a?") }
        #expect(
            error?.description
                == "t.json: \"a?\" has a part that is no token, and \(key) names none for that; name one")
    }

    @Test func aMissingFileIsNamed() {
        let error = #expect(throws: UserFacingError.self) { try Tokenizer.open("/nowhere") }
        #expect(error?.description == "cannot open /nowhere/tokenizer.json: No such file or directory")
    }

    @Test func aPatternThatGivesUpIsAnErrorAndNotAWrongAnswer() throws {
        let tokenizer = try tokenizer(
            #"{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(x+x+)+y"},"behavior":"Isolated"}}"#)
        let error = #expect(throws: UserFacingError.self) {
            try tokenizer.encode(String(repeating: "x", count: 40))
        }
        #expect(
            error?.description
                == "t.json: the pattern (x+x+)+y can't be used: retry-limit-in-match over")
    }
}

@Suite struct TokenizerUse {
    /// -7.1990489022903095 has more digits than a double holds, so that they are rounded before the division, too.
    @Test func scoresAreReadAsTheReferenceReadsThem() {
        func read(_ text: String) -> Double { JSONNumber(spelling: text).asReferenceReads }
        for text in ["0", "-1", "12.5", "-0.25", "1e3", "2.5E-2", "-7.25e+1", "18446744073709551615"] {
            #expect(read(text) == Double(text))
        }
        #expect(read("-7.1990489022903095") == -(71_990_489_022_903_095.0 / 1e16))
        // Digits beyond the 64th bit are dropped.
        #expect(read("0.12345678901234567890123") == 12_345_678_901_234_567_890.0 / 1e20)
    }

    @Test func manyThreadsGetTheSameIDs() async throws {
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/llama3")
        let texts = try #require(try JSON.read(path: tokenizerFixtures + "/texts.json").array).compactMap(
            \.string)
        let expected = try texts.map { text throws in try tokenizer.encode(text) }
        try await withThrowingTaskGroup(of: [[Int32]].self) { group in
            for _ in 0..<8 { group.addTask { try texts.map { text throws in try tokenizer.encode(text) } } }
            for try await ids in group { #expect(ids == expected) }
        }
    }

    @Test func moreWordsThanTheCacheHoldsStayRight() throws {
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
        let first = try tokenizer.encode(" first word")
        for round in 0..<40 {
            let text = (0..<1000).map { " w\(round)x\($0)" }.joined()
            let ids = try tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(ids) == text)
        }
        #expect(try tokenizer.encode(" first word") == first)
    }

    @Test func searchAndHeapMergeAlike() throws {
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/llama2")
        var generator = SystemRandomNumberGenerator()
        let letters = Array("theandingtion ")
        for _ in 0..<20 {
            let text = String((0..<200).map { _ in letters[Int(generator.next() % UInt64(letters.count))] })
            let ids = try tokenizer.encode(text, addSpecialTokens: false)
            #expect(ids == referenceMerge(text, tokenizer))
        }
    }

    /// The method word by word: look for the earliest merge, the leftmost of equal ones, and do it.
    private func referenceMerge(_ text: String, _ tokenizer: Tokenizer) -> [Int32] {
        let normalized = "▁" + text.map { $0 == " " ? "▁" : String($0) }.joined()
        var ids = normalized.map { tokenizer.id(of: String($0)) ?? 0 }
        guard let merges = tokenizer.model.bytePair?.merges else { return [] }
        while ids.count > 1 {
            let possible = (1..<ids.count).map { merges.merge(ids[$0 - 1], ids[$0]) }
            guard let best = possible.indices.min(by: { possible[$0].rank < possible[$1].rank }),
                possible[best].rank != .max
            else { break }
            ids.replaceSubrange(best...(best + 1), with: [possible[best].id])
        }
        return ids
    }
}
