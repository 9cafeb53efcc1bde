internal import Formats
internal import Models
internal import OrderedCollections

/// How an instruct model is talked to: its chat template, and the tokens that end its answers.
struct InstructTemplate {
    private let instruct: Checkpoint
    private let files: TokenizerFiles
    private let tokenizer: Tokenizer?
    /// The template as tokenizer_config.json has it.
    private let setting: JSON?
    /// The template's own files.
    private let templates: [AuxiliaryFile]
    private let generation: (bytes: [UInt8], json: JSON)?

    private static let generationName = "generation_config.json"
    private static let settingsName = "tokenizer_config.json"

    /// That of a model in Hugging Face's terms.
    init(of instruct: Checkpoint) throws(UserFacingError) {
        self.instruct = instruct
        files = try instruct.tokenizerFiles()
        tokenizer = files.isEmpty ? nil : try files.tokenizer()
        let setting = try files.json(Self.settingsName)?["chat_template"]
        self.setting = setting.flatMap { $0.isNull ? nil : $0 }
        templates = instruct.auxiliaryFiles.filter { Self.isTemplate($0.name) }
        generation = try instruct.auxiliaryFiles.first { $0.name == Self.generationName }?.json()
    }

    private static func isTemplate(_ name: String) -> Bool {
        name.hasPrefix("chat_template.") || name.hasPrefix("additional_chat_templates/")
    }

    /// Has the result be talked to in the same way, where its tokenizer has the tokens for that, and says what was done.
    ///
    /// - Parameters:
    ///   - outcome: the result.
    ///   - isBare: whether a row of the result's vocabulary has nothing of the instruct model.
    /// - Throws: ``UserFacingError`` when a file can't be read.
    func give(to outcome: inout Outcome, in isBare: (Int) -> Bool) throws(UserFacingError) {
        guard setting != nil || !templates.isEmpty else {
            return tell(&outcome, "the instruct model has none; the model's own files stay", isTaken: false)
        }
        let own = try outcome.checkpoint.tokenizerFiles()
        guard let tokenizer, !own.isEmpty else {
            outcome.warnings.append(
                "the instruct model's chat template was not taken: not both have a tokenizer.json, so it is not known "
                    + "whether the model has its tokens")
            return tell(&outcome, "the model's own, if it has one", isTaken: false)
        }
        let target = try own.tokenizer()
        let used = try usedTokens(tokenizer)
        let missing = used.filter { target.id(of: $0) == nil }
        guard missing.isEmpty else {
            outcome.warnings.append(
                "the instruct model's chat template was not taken: it needs \(missing.joined(separator: ", ")), which the "
                    + "model's tokenizer does not have")
            return tell(&outcome, "the model's own, if it has one", isTaken: false, missing: missing)
        }
        let bare = used.filter { token in target.id(of: token).map { isBare(Int($0)) } ?? false }
        if !bare.isEmpty {
            outcome.warnings.append(
                "the chat template uses \(bare.joined(separator: ", ")), whose rows have nothing of the instruct model"
            )
        }
        let moved = TokenIDs(from: tokenizer, to: target)
        replaceTemplates(in: &outcome.checkpoint)
        try replaceSettings(in: &outcome.checkpoint)
        try replaceGeneration(in: &outcome, moved)
        tell(
            &outcome,
            "the instruct model's\(used.isEmpty ? "" : ", with \(used.joined(separator: ", "))")",
            isTaken: true)
    }

    private func tell(_ outcome: inout Outcome, _ text: String, isTaken: Bool, missing: [String] = []) {
        outcome.say("chat template", text)
        outcome.facts["chat_template"] = [
            "taken": .bool(isTaken), "missing_tokens": .array(missing.map { .string($0) }),
        ]
    }

    /// The added tokens that stand in the template, and those that end answers.
    private func usedTokens(_ tokenizer: Tokenizer) throws(UserFacingError) -> [String] {
        var text = setting.map(\.text) ?? ""
        if let setting = setting?.string { text = setting }
        for file in templates { text += String(decoding: try file.bytes(), as: UTF8.self) }
        var tokens = (try files.json("tokenizer.json")?["added_tokens"]?.array ?? [])
            .compactMap { $0["content"]?.string }.filter { text.contains($0) }
        var ends = [generation?.json["eos_token_id"], instruct.configuration?["eos_token_id"]]
            .compactMap(\.self).flatMap { $0.array ?? [$0] }.compactMap(\.int)
        if let end = try files.specialTokens(tokenizer)["eos"] { ends.append(end) }
        for id in ends {
            guard let token = Int32(exactly: id).flatMap({ tokenizer.token(of: $0) }) else { continue }
            if !tokens.contains(token) { tokens.append(token) }
        }
        return tokens
    }

    private func replaceTemplates(in model: inout Checkpoint) {
        model.auxiliaryFiles.removeAll { Self.isTemplate($0.name) }
        model.auxiliaryFiles += templates
        let hasSettings = model.auxiliaryFiles.contains { $0.name == Self.settingsName }
        if templates.isEmpty, !hasSettings, let text = setting?.string {
            model.auxiliaryFiles.append(
                AuxiliaryFile(name: "chat_template.jinja", content: .bytes(Array(text.utf8))))
        }
    }

    /// Has tokenizer_config.json and special_tokens_map.json name the template and the token that ends an answer.
    private func replaceSettings(in model: inout Checkpoint) throws(UserFacingError) {
        let end = try files.json(Self.settingsName)?["eos_token"]
        for index in model.auxiliaryFiles.indices {
            let name = model.auxiliaryFiles[index].name
            guard [Self.settingsName, "special_tokens_map.json"].contains(name) else { continue }
            let (bytes, json) = try model.auxiliaryFiles[index].json()
            guard var settings = json.object else { continue }
            if name == Self.settingsName { settings["chat_template"] = setting }
            if let end, settings["eos_token"] != nil || name == Self.settingsName {
                settings["eos_token"] = end
            }
            if .object(settings) == json { continue }
            model.auxiliaryFiles[index].content = .bytes(JSON.object(settings).serialized(laidOutLike: bytes))
        }
    }

    /// Has generation_config.json be the instruct model's, and config.json name the token that ends an answer, by the ids that
    /// the model has for these tokens.
    private func replaceGeneration(in outcome: inout Outcome, _ moved: TokenIDs) throws(UserFacingError) {
        if let generation {
            let file = AuxiliaryFile(
                name: Self.generationName,
                content: .bytes(moved.settings(generation.json).serialized(laidOutLike: generation.bytes)))
            let files = outcome.checkpoint.auxiliaryFiles
            if let index = files.firstIndex(where: { $0.name == Self.generationName }) {
                outcome.checkpoint.auxiliaryFiles[index] = file
            } else {
                outcome.checkpoint.auxiliaryFiles.append(file)
            }
        }
        let key = "eos_token_id"
        guard let end = instruct.configuration?[key].flatMap({ moved.moved($0) }), !end.isNull,
            let before = outcome.checkpoint.configuration?[key], before != end
        else { return }
        outcome.checkpoint.configuration?[key] = end
        outcome.changes.append(ConfigurationChange(key: key, before: before, after: end))
    }
}

/// The ids that one tokenizer has for another's tokens.
private struct TokenIDs {
    let from: Tokenizer
    let to: Tokenizer

    /// Settings with the ids of all keys that name tokens; a token that is not there is left out.
    func settings(_ json: JSON) -> JSON {
        guard var members = json.object else { return json }
        for (key, value) in members where TokenKey.isToken(key) {
            members[key] = moved(value)
        }
        return .object(members)
    }

    func moved(_ value: JSON) -> JSON? {
        if let id = value.int {
            return Int32(exactly: id).flatMap { from.token(of: $0) }.flatMap { to.id(of: $0) }.map {
                JSON(Int($0))
            }
        }
        if let list = value.array { return .array(list.compactMap { moved($0) }) }
        return value
    }
}
