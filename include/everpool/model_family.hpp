// Everpool: what kind of data a model works on, and how to tell it from the model's name.
// SPDX-License-Identifier: BSL-1.0
//
// The family decides which browsers are preferred for a model (browser/fallback_order.hpp) and with
// which settings they are started again (browser/profile.hpp). Nothing depends on it being right: a
// model of the wrong family runs as correctly, perhaps in a browser that is slower for it.
//
//     everpool::detect_model_type("openai/whisper-tiny.en"); // ModelFamily::audio
//     everpool::detect_model_type("our-secret-7");           // ModelFamily::unknown
//
// Prefer to say it: `ModelSpec::family` is never overruled by a guess.
#pragma once

#include "everpool/word_match.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace everpool {

/// The kind of data a model works on. Values are stable: they are written into logs.
enum class ModelFamily : std::uint8_t {
    text,       ///< BERT, T5, Llama: tokens in
    vision,     ///< ViT, ResNet: pixels in
    audio,      ///< Whisper, wav2vec 2.0: samples in, or out
    multimodal, ///< CLIP, LLaVA: more than one of them
    unknown,    ///< nobody said; no browser is preferred
};

inline constexpr std::array model_families{ModelFamily::text, ModelFamily::vision,
                                           ModelFamily::audio, ModelFamily::multimodal,
                                           ModelFamily::unknown};

constexpr std::string_view name_of(ModelFamily family) noexcept {
    switch (family) {
    case ModelFamily::text: return "text";
    case ModelFamily::vision: return "vision";
    case ModelFamily::audio: return "audio";
    case ModelFamily::multimodal: return "multimodal";
    case ModelFamily::unknown: return "unknown";
    }
    return "unrecognised";
}

namespace detail {

/// Words by which a family is known.
struct ModelWord {
    std::string_view words;
    ModelFamily family;
};

/// The first entry that is in the name counts. So the more special comes first: LLaVA has Llama in
/// it, and a CLIP has a ViT in its name; words that any kind of model may bear come last.
inline constexpr ModelWord model_words[] = {
    // The specification names CLIP in two families. A CLIP takes images and texts, and is
    // multimodal; its halves are not.
    {"clip vision", ModelFamily::vision},
    {"clip text", ModelFamily::text},
    {"clip", ModelFamily::multimodal},
    {"siglip", ModelFamily::multimodal},
    {"llava", ModelFamily::multimodal},
    {"bakllava", ModelFamily::multimodal},
    {"blip", ModelFamily::multimodal},
    {"instructblip", ModelFamily::multimodal},
    {"flava", ModelFamily::multimodal},
    {"vilt", ModelFamily::multimodal},
    {"vilbert", ModelFamily::multimodal},
    {"visualbert", ModelFamily::multimodal},
    {"lxmert", ModelFamily::multimodal},
    {"layoutlm", ModelFamily::multimodal},
    {"donut", ModelFamily::multimodal},
    {"pix2struct", ModelFamily::multimodal},
    {"kosmos", ModelFamily::multimodal},
    {"paligemma", ModelFamily::multimodal},
    {"moondream", ModelFamily::multimodal},
    {"florence", ModelFamily::multimodal},
    {"idefics", ModelFamily::multimodal},
    {"fuyu", ModelFamily::multimodal},
    {"smolvlm", ModelFamily::multimodal},
    {"internvl", ModelFamily::multimodal},
    {"imagebind", ModelFamily::multimodal},
    {"vl", ModelFamily::multimodal}, // Qwen2-VL
    {"vlm", ModelFamily::multimodal},
    {"multimodal", ModelFamily::multimodal},

    {"whisper", ModelFamily::audio},
    {"wav2vec", ModelFamily::audio},
    {"wavlm", ModelFamily::audio},
    {"hubert", ModelFamily::audio},
    {"unispeech", ModelFamily::audio},
    {"speecht5", ModelFamily::audio},
    {"clap", ModelFamily::audio},
    {"encodec", ModelFamily::audio},
    {"musicgen", ModelFamily::audio},
    {"audioldm", ModelFamily::audio},
    {"bark", ModelFamily::audio},
    {"vits", ModelFamily::audio},
    {"tacotron", ModelFamily::audio},
    {"fastspeech", ModelFamily::audio},
    {"hifigan", ModelFamily::audio},
    {"yamnet", ModelFamily::audio},
    {"vggish", ModelFamily::audio},
    {"moonshine", ModelFamily::audio},
    {"parakeet", ModelFamily::audio},
    {"kokoro", ModelFamily::audio},
    {"silero", ModelFamily::audio},

    {"vit", ModelFamily::vision},
    {"deit", ModelFamily::vision},
    {"beit", ModelFamily::vision},
    {"swin", ModelFamily::vision},
    {"dino", ModelFamily::vision},
    {"resnet", ModelFamily::vision},
    {"resnext", ModelFamily::vision},
    {"regnet", ModelFamily::vision},
    {"convnext", ModelFamily::vision},
    {"efficientnet", ModelFamily::vision},
    {"mobilenet", ModelFamily::vision},
    {"mobilevit", ModelFamily::vision},
    {"densenet", ModelFamily::vision},
    {"squeezenet", ModelFamily::vision},
    {"shufflenet", ModelFamily::vision},
    {"alexnet", ModelFamily::vision},
    {"googlenet", ModelFamily::vision},
    {"inception", ModelFamily::vision},
    {"vgg", ModelFamily::vision},
    {"yolo", ModelFamily::vision},
    {"yolos", ModelFamily::vision},
    {"detr", ModelFamily::vision},
    {"rcnn", ModelFamily::vision},
    {"unet", ModelFamily::vision},
    {"segformer", ModelFamily::vision},
    {"maskformer", ModelFamily::vision},
    {"mask2former", ModelFamily::vision},
    {"clipseg", ModelFamily::vision},
    {"owlvit", ModelFamily::vision},
    {"sam", ModelFamily::vision},
    {"dpt", ModelFamily::vision},
    {"depth anything", ModelFamily::vision},
    {"trocr", ModelFamily::vision},
    {"esrgan", ModelFamily::vision},
    {"stable diffusion", ModelFamily::vision},
    {"cnn", ModelFamily::vision},

    {"bert", ModelFamily::text},
    {"distilbert", ModelFamily::text},
    {"roberta", ModelFamily::text},
    {"distilroberta", ModelFamily::text},
    {"deberta", ModelFamily::text},
    {"camembert", ModelFamily::text},
    {"mobilebert", ModelFamily::text},
    {"albert", ModelFamily::text},
    {"electra", ModelFamily::text},
    {"minilm", ModelFamily::text},
    {"mpnet", ModelFamily::text},
    {"xlm", ModelFamily::text},
    {"xlnet", ModelFamily::text},
    {"t5", ModelFamily::text},
    {"mt5", ModelFamily::text},
    {"byt5", ModelFamily::text},
    {"bart", ModelFamily::text},
    {"mbart", ModelFamily::text},
    {"distilbart", ModelFamily::text},
    {"pegasus", ModelFamily::text},
    {"marian", ModelFamily::text},
    {"opus mt", ModelFamily::text},
    {"nllb", ModelFamily::text},
    {"m2m", ModelFamily::text},
    {"gpt", ModelFamily::text},
    {"gptj", ModelFamily::text},
    {"distilgpt", ModelFamily::text},
    {"llama", ModelFamily::text},
    {"tinyllama", ModelFamily::text},
    {"codellama", ModelFamily::text},
    {"alpaca", ModelFamily::text},
    {"vicuna", ModelFamily::text},
    {"mistral", ModelFamily::text},
    {"mixtral", ModelFamily::text},
    {"gemma", ModelFamily::text},
    {"phi", ModelFamily::text},
    {"qwen", ModelFamily::text},
    {"falcon", ModelFamily::text},
    {"bloom", ModelFamily::text},
    {"bloomz", ModelFamily::text},
    {"opt", ModelFamily::text},
    {"pythia", ModelFamily::text},
    {"mpt", ModelFamily::text},
    {"rwkv", ModelFamily::text},
    {"mamba", ModelFamily::text},
    {"olmo", ModelFamily::text},
    {"smollm", ModelFamily::text},
    {"stablelm", ModelFamily::text},
    {"chatglm", ModelFamily::text},
    {"deepseek", ModelFamily::text},
    {"starcoder", ModelFamily::text},
    {"codegen", ModelFamily::text},
    {"longformer", ModelFamily::text},

    {"speech", ModelFamily::audio},
    {"audio", ModelFamily::audio},
    {"asr", ModelFamily::audio},
    {"tts", ModelFamily::audio},
    {"vision", ModelFamily::vision},
    {"image", ModelFamily::vision},
    {"text", ModelFamily::text},
    {"llm", ModelFamily::text},
};

} // namespace detail

/// The family that a model's name tells of, by whole words: "distilbert-base", "ViTModel" and
/// "resnet50" are known, and "habit" is no ViT. ModelFamily::unknown if no word of it is known.
constexpr ModelFamily detect_model_type(std::string_view name) noexcept {
    for (const detail::ModelWord& entry : detail::model_words)
        if (has_words(name, entry.words)) return entry.family;
    return ModelFamily::unknown;
}

} // namespace everpool
