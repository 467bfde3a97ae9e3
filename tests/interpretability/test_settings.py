"""Settings: the guide's dictionary is read, defaults fill the rest, and what nobody reads is refused."""

import pytest

from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.settings import SETTINGS, interpretation_settings

GUIDE = {
    "attention": {"layer_range": (0, -1), "head_range": (0, -1), "aggregation": "mean"},
    "gradients": {"methods": ["vanilla", "integrated", "guided"], "baseline_strategy": "zero", "steps": 50},
    "motifs": {"min_length": 6, "max_length": 15, "significance_threshold": 0.01, "max_motifs": 20},
    "visualization": {"save_plots": True, "plot_format": "png", "dpi": 300, "color_scheme": "genomic"},
}


def test_the_guides_dictionary_is_read_as_it_stands():
    settings = interpretation_settings(GUIDE)
    for section, given in GUIDE.items():
        for name, value in given.items():
            assert settings[section][name] == (tuple(value) if isinstance(value, list) else value)


def test_defaults_fit_their_own_tests_and_fill_what_is_left_out():
    for table in SETTINGS.values():
        assert all(setting.fits(setting.default) for setting in table.values())
    settings = interpretation_settings({"motifs": {"max_motifs": 3}})
    assert settings["motifs"] == {"min_length": 6, "max_length": 15, "significance_threshold": 0.01, "max_motifs": 3}
    assert settings["gradients"] == interpretation_settings()["gradients"]


def test_settings_do_not_share_their_tables():
    interpretation_settings()["motifs"]["max_motifs"] = 1
    assert interpretation_settings()["motifs"]["max_motifs"] == 20


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"motif": {}}, "closest: motifs"),
        ({"gradients": {"step": 5}}, "closest: steps"),
        ({"gradients": {"methods": ["vanila"]}}, "vanila"),
        ({"gradients": {"methods": []}}, "at least one of"),
        ({"gradients": {"methods": "vanilla"}}, "as a list"),
        ({"gradients": {"baseline_strategy": "one"}}, "one of shuffled"),
        ({"gradients": {"steps": 0}}, "from 1 on"),
        ({"gradients": {"steps": True}}, "from 1 on"),
        ({"attention": {"layer_range": 3}}, "a pair"),
        ({"attention": {"head_range": (0, "last")}}, "a pair"),
        ({"attention": {"aggregation": "median"}}, "one of mean"),
        ({"motifs": {"significance_threshold": 0}}, "above 0"),
        ({"motifs": {"min_length": 9, "max_length": 8}}, "min_length <= max_length"),
        ({"visualization": {"plot_format": "gif"}}, "png, svg, pdf"),
        ({"visualization": {"color_scheme": "rainbow"}}, "one of genomic"),
        ({"visualization": {"save_plots": "yes"}}, "True or False"),
        ({"trust": {"checks": ["complete"]}}, "some of completeness"),
        ({"trust": {"invariances": ["rotation"]}}, "some of strand, shift"),
        ({"attention": ["layer_range"]}, "a dictionary of its settings"),
    ],
)
def test_what_nobody_reads_is_refused_in_a_sentence(config, words):
    with pytest.raises(ConfigurationError, match=words):
        interpretation_settings(config)
