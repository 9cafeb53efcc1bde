import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Learning merges")
struct LearningTests {
    /// Text with enough repetition, in two scripts, with digits, signs and runs of one character.
    private static let lines = (0..<60).flatMap { index in
        [
            "한국어 문서를 읽는 사람들이 한국어 문서를 쓴다 \(index)",
            "the sheet's cells; the sheets and the cells (aaaa aaaaa aa) == != \(index % 7)",
            "문서의 셀을 선택하고 서식을 지정합니다. émigré naïve",
        ]
    }

    private func corpus(_ folder: TemporaryFolder, _ lines: [String] = lines) throws -> Documents {
        let texts = lines.map { line in
            let json: JSON = ["text": .string(line)]
            return String(decoding: json.serialized(indent: nil), as: UTF8.self)
        }
        let path = folder.path + "/corpus.jsonl"
        try Data((texts.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path))
        return Documents(paths: [path])
    }

    /// The reference: every step counts all pairs again and merges from the left.
    private func plainly(_ tokenizer: Tokenizer, _ corpus: Documents, _ count: Int) throws -> [String] {
        let words = try WordCounts.counted(in: corpus, tokenizer, threads: 1)
        var symbols: [(ids: [Int32], count: Int)] = []
        for index in 0..<words.counts.count {
            let word = words.words.withString(index) { Array(copying: $0) }
            symbols.append((tokenizer.pieces(of: word), words.counts[index]))
        }
        var spellings = tokenizer.vocabulary.tokens
        let spelling = try TokenSpelling(tokenizer)
        var refused: Set<[Int32]> = []
        while spellings.count < tokenizer.vocabulary.count + count {
            var pairs: [[Int32]: Int] = [:]
            for (ids, count) in symbols {
                for place in ids.indices.dropLast() {
                    pairs[[ids[place], ids[place + 1]], default: 0] += count
                }
            }
            var best: (pair: [Int32], count: Int)?
            for (pair, count) in pairs where count >= 2 && !refused.contains(pair) {
                if let best, (best.count, pair[0], pair[1]) > (count, best.pair[0], best.pair[1]) { continue }
                best = (pair, count)
            }
            guard let pair = best?.pair else { break }
            let text = spellings[Int(pair[0])] + spellings[Int(pair[1])]
            var id = Int32(spellings.count)
            if let known = spellings.firstIndex(where: { Array($0.utf8) == Array(text.utf8) }) {
                guard known >= tokenizer.vocabulary.count else {
                    refused.insert(pair)
                    continue
                }
                id = Int32(known)
            } else {
                guard spelling.standsAlone(Array(text.utf8)) else {
                    refused.insert(pair)
                    continue
                }
                spellings.append(text)
            }
            for index in symbols.indices {
                var merged: [Int32] = []
                var place = 0
                let ids = symbols[index].ids
                while place < ids.count {
                    if place + 1 < ids.count, [ids[place], ids[place + 1]] == pair {
                        merged.append(id)
                        place += 2
                    } else {
                        merged.append(ids[place])
                        place += 1
                    }
                }
                symbols[index].ids = merged
            }
        }
        return Array(spellings[tokenizer.vocabulary.count...])
    }

    @Test(arguments: ["gpt2", "llama3", "qwen2"])
    func learnsWhatCountingAgainAtEveryStepLearns(_ name: String) throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/" + name)
        let corpus = try corpus(folder)
        let learned = try tokenizer.learning(80, from: corpus)
        let wanted = try plainly(tokenizer, corpus, 80)
        #expect(learned.tokens.map(\.spelling) == wanted)
        #expect(
            learned.tokens.map(\.id)
                == Array(Int32(tokenizer.vocabulary.count)..<Int32(tokenizer.vocabulary.count) + 80))
    }

    @Test(arguments: ["gpt2", "llama2", "llama3", "metaspace", "qwen2"])
    func everyTokenIsReachedAndOldTextStaysAsItWas(_ name: String) throws {
        let folder = try TemporaryFolder()
        let path = tokenizerFixtures + "/" + name
        let files = TokenizerFiles(of: try Checkpoint.openWithoutWeights(path).auxiliaryFiles, path: path)
        let old = try files.tokenizer()
        let corpus = try corpus(folder)
        let learned = try old.learning(60, from: corpus)
        let new = try files.extended(by: VocabularyExtension(learned, for: old)).tokenizer()
        #expect(new.largestID == old.largestID + 60)
        for token in learned.tokens {
            let reach = try new.reach(of: token.id)
            if case .not(let ids) = reach { Issue.record("\(token.spelling) is encoded as \(ids)") }
        }
        let texts = try #require(try JSON.read(path: tokenizerFixtures + "/texts.json").array)
        for text in texts.compactMap(\.string) {
            let (before, after) = (try old.encode(text), try new.encode(text))
            #expect(new.decode(after) == old.decode(before))
            if after.allSatisfy({ $0 <= old.largestID }) { #expect(after == before) }
        }
        let before = try old.figures(of: corpus)
        let after = try new.figures(of: corpus, threads: 3)
        #expect(
            after.tokens < before.tokens && after.bytes == before.bytes && learned.textBytes == before.bytes)
        // Where words are divided before the model, learning counts exactly what encoding gives.
        if old.dividesWords {
            #expect(learned.tokensBefore == before.tokens && learned.tokensAfter == after.tokens)
            var counts = [Int](repeating: 0, count: 60)
            _ = try corpus.forEachBatch { batch throws(UserFacingError) in
                for index in batch.parts.indices {
                    var findings = TextFindings()
                    guard let text = try batch.text(index, noting: &findings) else { continue }
                    for id in try new.encode(String(decoding: text, as: UTF8.self)) where id > old.largestID {
                        counts[Int(id) - old.largestID - 1] += 1
                    }
                }
            }
            #expect(learned.counts == counts && counts.contains { $0 > 0 })
        }
    }

    @Test func doesNotDependOnThreads() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/llama3")
        let corpus = try corpus(folder)
        let one = try tokenizer.learning(50, from: corpus, threads: 1)
        #expect(try tokenizer.learning(50, from: corpus, threads: 4) == one)
    }

    @Test func missingCharactersBecomeTokensBeforeTheyMerge() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/llama2")
        let learned = try tokenizer.learning(
            5, from: corpus(folder, Array(repeating: "쀍쀐 쀍쀐쀍쀐", count: 20)))
        // 쀍 and 쀐 take three byte tokens each.
        #expect(learned.tokens.map(\.spelling).prefix(3) == ["쀍", "쀐", "쀍쀐"])
        #expect(learned.tokensAfter < learned.tokensBefore)
        #expect(
            learned.merges.first.map { [$0.left, $0.right] } == [learned.tokens[0].id, learned.tokens[1].id])
    }

    /// Stopped while it reads and while it merges: the corpus here is read in one batch.
    @Test func stoppedLearningGivesNothing() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
        let corpus = try corpus(folder)
        for allowed in 0..<3 {
            var asked = 0
            let error = #expect(throws: UserFacingError.self) {
                try tokenizer.learning(
                    20, from: corpus,
                    isCancelled: {
                        asked += 1
                        return asked > allowed
                    })
            }
            #expect(asked == allowed + 1 && error?.kind == .interrupted)
        }
        #expect(try tokenizer.learning(20, from: corpus, isCancelled: { false }).tokens.count == 20)
    }

    @Test func stoppedCountingGivesNoFigures() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
        let corpus = try corpus(folder)
        var told: [Int] = []
        let error = #expect(throws: UserFacingError.self) {
            try tokenizer.figures(
                of: Documents(paths: corpus.paths + corpus.paths), isCancelled: { true },
                progress: { done, _ in told.append(done) })
        }
        // It stopped after the first file.
        let size = try InputFile(path: corpus.paths[0]).size
        #expect(told == [size] && error?.kind == .interrupted)
    }

    @Test func saysHowManyTheCorpusGives() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
        let corpus = try corpus(folder, ["쀍쀐 쀍쀐"])
        let error = try #require(throws: UserFacingError.self) { try tokenizer.learning(500, from: corpus) }
        #expect("\(error)".contains("not 500") && error.fault == .input)
    }
}
