package httpapi

import (
	"github.com/kitshub/kitshub/internal/hub"
)

type planDoc struct {
	ID           string   `json:"id" doc:"What sign-ups name." example:"starter"`
	Name         string   `json:"name" doc:"For people." example:"Starter"`
	Description  string   `json:"description,omitempty" doc:"For people." example:"For one shop that wants to know its stock."`
	PriceMonthly int      `json:"price_monthly" doc:"In whole units of the currency." example:"29"`
	PriceYearly  int      `json:"price_yearly" doc:"In whole units of the currency." example:"290"`
	Features     []string `json:"features" doc:"All that a tenant of this plan gets, in the order in which it is set up." example:"[\"core\",\"inventory\"]"`
	Provisioning hub.Way  `json:"provisioning" enum:"automatic,operator" doc:"Who makes the database: the hub at once, or a person." example:"automatic"`
}

type featureDoc struct {
	Name        string   `json:"name" doc:"What sign-ups name." example:"inventory"`
	Title       string   `json:"title" doc:"For people." example:"Inventory"`
	Description string   `json:"description,omitempty" doc:"For people." example:"Items, stock and purchasing."`
	DependsOn   []string `json:"depends_on" doc:"Features that come with it." example:"[\"core\"]"`
}

func plans(c *call) (answer, error) {
	cat := c.Service.Catalog()
	out := make([]planDoc, 0, len(cat.Plans))
	for _, p := range cat.Plans {
		features, err := cat.Closure(p.Features)
		if err != nil {
			return answer{}, err
		}
		out = append(out, planDoc{p.ID, p.Name, p.Description, p.PriceMonthly, p.PriceYearly, features, p.Provisioning})
	}
	return answer{data: out}, nil
}

func features(c *call) (answer, error) {
	cat := c.Service.Catalog()
	out := make([]featureDoc, 0, len(cat.Features))
	for _, f := range cat.Features {
		out = append(out, featureDoc{f.Name, f.Title, f.Description, list(f.DependsOn)})
	}
	return answer{data: out}, nil
}

// list shows no items as [] instead of null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
